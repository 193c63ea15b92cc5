//go:build !js && !(cgo && (darwin || ((amd64 || (arm64 && wgpu22)) && (linux || windows))))

package gpu

func newDriver() (driver, error) { return nil, ErrNoDriver }
