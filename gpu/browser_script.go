package gpu

import _ "embed"

// BrowserScript is the JavaScript part of the driver for browsers. A page whose content security policy lacks 'unsafe-eval'
// must load it as a script of its own (importScripts in a worker) before the program starts; elsewhere the program evaluates
// it itself.
//
//go:embed browser.js
var BrowserScript string
