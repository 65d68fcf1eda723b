'use strict';
module.exports = require('./express-application')(require('express'));
