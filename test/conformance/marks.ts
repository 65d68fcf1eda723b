/** The other end of `fixtures/apps/marks.js`: files by which an application and its test tell each other things. */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 10;

export class Marks {
  readonly #folder: string;

  /** @param folder beside the folder of the applications, and writable by whoever they run as. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  async set(scene: string, word: string): Promise<void> {
    await writeFile(this.#fileOf(scene, word), '');
  }

  isSet(scene: string, word: string): boolean {
    return existsSync(this.#fileOf(scene, word));
  }

  /** Resolves to the first of the words that is set; undefined when the time is over. */
  async first<Word extends string>(
    scene: string,
    words: readonly Word[],
    timeoutMs: number,
  ): Promise<Word | undefined> {
    const deadline = Date.now() + timeoutMs;

    for (;;) {
      const word = words.find((each) => this.isSet(scene, each));
      if (word !== undefined || Date.now() > deadline) {
        return word;
      }
      await sleep(POLL_MS);
    }
  }

  #fileOf(scene: string, word: string): string {
    return join(this.#folder, `${scene}.${word}`);
  }
}
