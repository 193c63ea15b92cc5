package gpu

import _ "embed"

// BrowserScript is the part of the driver for browsers that is JavaScript. A page whose content security policy has no
// 'unsafe-eval' loads it as a script of its own (importScripts in a worker) before the program starts; elsewhere the program
// does that by itself.
//
//go:embed browser.js
var BrowserScript string
