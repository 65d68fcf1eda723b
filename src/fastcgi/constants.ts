// FastCGI §8: names are the specification's, without the FCGI_ prefix.

export const VERSION_1 = 1;
export const HEADER_LENGTH = 8;
export const MAX_CONTENT_LENGTH = 0xffff;
export const NULL_REQUEST_ID = 0;

export const RecordType = {
  BEGIN_REQUEST: 1,
  ABORT_REQUEST: 2,
  END_REQUEST: 3,
  PARAMS: 4,
  STDIN: 5,
  STDOUT: 6,
  STDERR: 7,
  DATA: 8,
  GET_VALUES: 9,
  GET_VALUES_RESULT: 10,
  UNKNOWN_TYPE: 11,
} as const;

/** The one flag of BEGIN_REQUEST (§5.1). */
export const KEEP_CONN = 1;

export const Role = { RESPONDER: 1, AUTHORIZER: 2, FILTER: 3 } as const;

export const ProtocolStatus = {
  REQUEST_COMPLETE: 0,
  CANT_MPX_CONN: 1,
  OVERLOADED: 2,
  UNKNOWN_ROLE: 3,
} as const;

/** The variables a front end may ask for with GET_VALUES (§4.1). */
export const MAX_CONNS = 'FCGI_MAX_CONNS';
export const MAX_REQS = 'FCGI_MAX_REQS';
export const MPXS_CONNS = 'FCGI_MPXS_CONNS';
