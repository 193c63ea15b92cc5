package store

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"bitgpu/serve/store/storetest"
)

// TestS3Fails: a server that loses answers, tries that come late and objects that end too soon cost nothing that was told to be saved.
func TestS3Fails(t *testing.T) {
	b := storetest.NewBucket(t)
	s := newStore(t, opened(t, "s3://memories/p", b.URL), longLease)
	id := made(t, s, "first").ID
	for _, method := range []string{http.MethodPut, http.MethodGet, http.MethodDelete} {
		for _, fault := range []storetest.Fault{storetest.Drop, storetest.DropLate} {
			for at := range 3 {
				n := 0
				b.SetFault(func(r *http.Request) storetest.Fault {
					if r.Method == method {
						if n++; n == at+1 {
							return fault
						}
					}
					return storetest.None
				})
				text := method + strings.Repeat("x", int(fault)*10+at)
				l, err := s.Write(t.Context(), id)
				if err == nil {
					_, err = save(t, l, text)
				}
				b.SetFault(nil)
				if err != nil {
					t.Errorf("%s %d, the %d-th: got %v", method, fault, at, err)
				} else if got := stateText(t, s, id); got != text {
					t.Errorf("%s %d, the %d-th: got %q", method, fault, at, got)
				}
			}
		}
	}
	b.SetFault(func(r *http.Request) storetest.Fault {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, HeadSuffix) {
			return storetest.Cut
		}
		return storetest.None
	})
	if _, err := s.About(t.Context(), id); err == nil {
		t.Error("half a head was taken")
	}
	b.SetFault(func(*http.Request) storetest.Fault { return storetest.Refuse })
	if _, err := s.About(t.Context(), id); err == nil || !strings.Contains(err.Error(), "s3://memories/p/model/"+id+".json: AccessDenied: Forbidden (403)") {
		t.Errorf("got %v", err)
	}
	if _, err := Open(t.Context(), "s3://memories/p", b.URL); err == nil || !strings.Contains(err.Error(), "AccessDenied") && !strings.Contains(err.Error(), "403") {
		t.Errorf("got %v", err)
	}
}

// TestS3WithoutConditions: a server that writes whatever it is told under which condition is refused.
func TestS3WithoutConditions(t *testing.T) {
	b := storetest.NewBucket(t)
	b.SetFault(func(*http.Request) storetest.Fault { return storetest.Ignore })
	_, err := New(t.Context(), opened(t, "s3://memories", b.URL), "model", longLease)
	if err == nil || !strings.Contains(err.Error(), "want one that heeds If-Match and If-None-Match") {
		t.Errorf("got %v", err)
	}
	if keys := b.Keys(); len(keys) != 0 {
		t.Errorf("the probe has left %q", keys)
	}
}

// TestCredentials: the variables of roles are heeded only where they are set, so that nobody is asked who is not there.
func TestCredentials(t *testing.T) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} {
		t.Setenv(name, "")
	}
	file := t.TempDir() + "/credentials"
	if err := os.WriteFile(file, []byte("[default]\naws_access_key_id = from\naws_secret_access_key = file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
	if v, err := s3Credentials().GetWithContext(nil); err != nil || v.AccessKeyID != "from" || v.SecretAccessKey != "file" {
		t.Errorf("got %+v, %v", v, err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "from")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "environment")
	if v, err := s3Credentials().GetWithContext(nil); err != nil || v.SecretAccessKey != "environment" {
		t.Errorf("got %+v, %v", v, err)
	}
	b := storetest.NewBucket(t)
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SHARED_CREDENTIALS_FILE"} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", t.TempDir())
	b.SetFault(func(*http.Request) storetest.Fault { return storetest.Refuse })
	if _, err := OpenS3(t.Context(), "s3://memories", b.URL); err == nil || !strings.Contains(err.Error(), "without credentials, such as AWS_ACCESS_KEY_ID") {
		t.Errorf("got %v", err)
	}
}
