package storetest

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Program is the variable with the path of an S3 server, Versity's gateway.
const Program = "BITGPU_S3_SERVER"

// StartProgram starts that server on a free loopback port over an empty bucket, and returns its address. Credentials for it
// are put into the environment. The test is skipped if there is no such server.
func StartProgram(t testing.TB) (endpoint string) {
	t.Helper()
	path := os.Getenv(Program)
	if path == "" {
		t.Skipf("%s is not set: make test-replicas installs a server of S3", Program)
	}
	folder := t.TempDir()
	root, attributes := filepath.Join(folder, "root"), filepath.Join(folder, "attributes")
	for _, dir := range []string{filepath.Join(root, BucketName), attributes} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", "bitgpu-test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "bitgpu-test-secret")
	var said bytes.Buffer
	server := exec.Command(path, "--access", "bitgpu-test", "--secret", "bitgpu-test-secret", "--port", address,
		"posix", "--sidecar", attributes, root)
	server.Stdout, server.Stderr = &said, &said
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	t.Cleanup(func() {
		server.Process.Kill()
		<-ended
	})
	for {
		if r, err := http.Get("http://" + address + "/"); err == nil {
			r.Body.Close()
			return "http://" + address
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s: %v: %s", path, err, said.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
