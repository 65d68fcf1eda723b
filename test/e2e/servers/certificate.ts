import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { binaryOf } from '../install-servers';

export interface Certificate {
  readonly certificateFile: string;
  readonly keyFile: string;
  /** Both in one file, as HAProxy wants it. */
  readonly bothFile: string;
}

/** A self-signed certificate for app.example.test and 127.0.0.1, good for a day. */
export async function makeCertificate(folder: string): Promise<Certificate> {
  const certificateFile = join(folder, 'certificate.pem');
  const keyFile = join(folder, 'key.pem');
  const bothFile = join(folder, 'certificate-and-key.pem');

  await promisify(execFile)(binaryOf('openssl'), [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1'],
    ...['-subj', '/CN=app.example.test', '-addext', 'subjectAltName=DNS:app.example.test,IP:127.0.0.1'],
    ...['-keyout', keyFile, '-out', certificateFile],
  ]);
  await writeFile(bothFile, Buffer.concat([await readFile(certificateFile), await readFile(keyFile)]));

  return { certificateFile, keyFile, bothFile };
}
