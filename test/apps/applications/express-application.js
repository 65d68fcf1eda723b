'use strict';
// The same application for Express 4 and 5, as their guides write it.
const compression = require('compression');
const cookieParser = require('cookie-parser');
const session = require('express-session');
const morgan = require('morgan');
const multer = require('multer');
const { Readable, pipeline } = require('node:stream');
const {
  BIG,
  LONG_TEXT,
  brokenPieces,
  describe,
  events,
  makeFolder,
  pieces,
  read,
  sleep,
} = require('./shared');

module.exports = function createApplication(express) {
  const app = express();
  const folder = makeFolder();
  const upload = multer();

  app.set('trust proxy', 'loopback');
  app.use(morgan('combined', { stream: { write: () => undefined } }));
  app.use('/static', express.static(folder));
  app.use(cookieParser('secret'));

  app.get('/text', (req, res) => res.send('hello'));
  app.get('/json', (req, res) => res.json({ hello: 'world' }));
  app.get('/jsonp', (req, res) => res.jsonp({ hello: 'world' }));
  app.all('/empty', (req, res) => res.sendStatus(204));
  app.get('/etag', (req, res) => res.send('tagged'));
  app.all('/echo', async (req, res) =>
    res.json({ ...describe(req), body: (await read(req)).toString('latin1') }),
  );
  app.all('/length', async (req, res) => res.json({ length: (await read(req)).length }));
  app.post('/parse', express.json({ limit: 50000 }), (req, res) => res.json(req.body));
  app.post('/form', express.urlencoded({ extended: true }), (req, res) => res.json(req.body));
  app.post('/plain', express.text(), (req, res) => res.send(req.body));
  app.post('/raw', express.raw(), (req, res) => res.send(req.body));
  app.post('/upload', upload.any(), (req, res) =>
    res.json({
      fields: { ...req.body },
      files: req.files.map(({ originalname, size, mimetype }) => ({ originalname, size, mimetype })),
    }),
  );
  app.post('/ignore', (req, res) => res.send('ignored'));
  app.post('/pipe', (req, res) => req.pipe(res));
  app.get('/cookies', (req, res) => {
    res.cookie('a', '1').cookie('b', '2', { httpOnly: true });
    res.cookie('signed', 'value', { signed: true }).clearCookie('gone');
    res.json({ cookies: { ...req.cookies }, signed: { ...req.signedCookies } });
  });
  app.get('/redirect', (req, res) => res.redirect('/text'));
  app.get('/permanent', (req, res) => res.redirect(301, 'text'));
  app.get('/created', (req, res) => res.status(201).location('/text').send('created'));
  app.get('/stream', (req, res) => pipeline(Readable.from(pieces()), res, () => undefined));
  app.get('/events', (req, res) => {
    res.set({ 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' });
    res.flushHeaders();
    pipeline(Readable.from(events()), res, () => undefined);
  });
  app.get('/big', (req, res) => res.send(BIG));
  app.get('/long', compression(), (req, res) => res.type('text').send(LONG_TEXT));
  app.get('/headers', (req, res) => {
    res
      .append('X-Many', 'one')
      .append('X-Many', 'two')
      .set('X-Latin', 'caf\xe9')
      .vary('Accept')
      .links({ next: '/2' });
    res.send(Buffer.from('headers'));
  });
  app.get('/throw', () => {
    throw new Error('thrown');
  });
  app.get('/reject', (req, res, next) => sleep(1).then(() => next(new Error('rejected'))));
  app.get('/late', (req, res) => pipeline(Readable.from(brokenPieces()), res, () => undefined));
  app.get('/slow', (req, res) => sleep(50).then(() => res.send('slow')));
  app.get('/who', (req, res) => {
    const { protocol, secure, hostname, subdomains, xhr, fresh, originalUrl, path, query } = req;
    res.json({
      protocol,
      secure,
      hostname,
      subdomains,
      xhr,
      fresh,
      originalUrl,
      path,
      query,
    });
  });
  app.get('/status', (req, res) => {
    res.statusMessage = 'Short and Stout';
    res.status(418).send('teapot');
  });
  app.get('/send-file', (req, res) => res.sendFile('file.txt', { root: folder }));
  app.get('/download', (req, res) => res.download(`${folder}/file.txt`, 'n\u00e4me.txt'));
  app.get('/attachment', (req, res) => res.attachment('x.csv').send('a,b'));
  app.get('/format', (req, res) =>
    res.format({
      text: () => res.send('text'),
      html: () => res.send('<p>html</p>'),
      json: () => res.json({ is: 'json' }),
    }),
  );
  app.get(
    '/session',
    session({
      secret: 'secret',
      resave: false,
      saveUninitialized: true,
      genid: () => 'id',
      cookie: { secure: false },
    }),
    (req, res) => {
      req.session.views = (req.session.views ?? 0) + 1;
      res.json({ views: req.session.views });
    },
  );
  app.get('/accepts', (req, res) =>
    res.json([req.accepts(['json', 'html']), req.acceptsEncodings('gzip'), req.is('json'), req.get('X-One')]),
  );

  const router = express.Router();
  router.get('/inner/:id', (req, res) =>
    res.json({ baseUrl: req.baseUrl, url: req.url, originalUrl: req.originalUrl, id: req.params.id }),
  );
  app.use('/mounted', router);

  // Express tells error handlers by their four parameters.
  app.use((error, req, res, next) => {
    if (res.headersSent) {
      return next(error);
    }
    return res.status(error.status ?? 500).json({ error: error.message });
  });
  return app;
};
