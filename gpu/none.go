//go:build !js && !(cgo && (darwin || (amd64 && (linux || windows))))

package gpu

func newDriver() (driver, error) { return nil, ErrNoDriver }
