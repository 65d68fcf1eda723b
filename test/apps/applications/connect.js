'use strict';
const compression = require('compression');
const connect = require('connect');
const plain = require('./plain');

const app = connect();

app.use('/mounted', (req, res) => res.end(`${req.url} ${req.originalUrl}`));
app.use('/long', compression({ threshold: 0 }));
app.use('/next', (req, res, next) => next(new Error('passed on')));
app.use('/throw', () => {
  throw new Error('thrown');
});
app.use((req, res, next) => {
  const result = plain(req, res);
  if (typeof result?.catch === 'function') {
    result.catch(next);
  }
});
app.use((error, req, res, next) => {
  if (res.headersSent) {
    return next(error);
  }
  res.statusCode = 500;
  return res.end(error.message);
});

module.exports = app;
