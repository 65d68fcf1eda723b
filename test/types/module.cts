// The same package from a CommonJS module.
import postern = require('postern');

export const application: postern.Application = (_environ, startResponse) => {
  startResponse(`404 ${postern.statusText(404)}`, []);
  return 'a';
};
