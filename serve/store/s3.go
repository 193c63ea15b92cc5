package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// S3 stores objects in a bucket, below a prefix. Versions are ETags; writes are conditional, with If-Match and If-None-Match.
type S3 struct {
	core           minio.Core
	bucket, prefix string
	clock          *serverClock
}

const (
	s3Scheme  = "s3://"
	s3Tries   = 3
	s3Largest = 5 << 30 // bytes of one PUT
)

// IsS3 reports whether a place is in S3, as opposed to a directory.
func IsS3(place string) bool { return strings.HasPrefix(place, s3Scheme) }

// OpenS3 opens s3://BUCKET/PREFIX at an endpoint such as https://s3.example.org:9000; "" means AWS_ENDPOINT_URL_S3,
// AWS_ENDPOINT_URL or Amazon's own. Region and credentials come from the usual variables, AWS_REGION, AWS_ACCESS_KEY_ID and
// AWS_SECRET_ACCESS_KEY, from the file AWS_SHARED_CREDENTIALS_FILE, or from the role that AWS_WEB_IDENTITY_TOKEN_FILE or
// AWS_CONTAINER_CREDENTIALS_* name. The bucket must exist, and support conditional writes.
func OpenS3(ctx context.Context, place, endpoint string) (*S3, error) {
	bucket, prefix, _ := strings.Cut(strings.TrimPrefix(place, s3Scheme), "/")
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		prefix += "/"
	}
	if !IsS3(place) || bucket == "" {
		return nil, fmt.Errorf("got %q, want s3://BUCKET or s3://BUCKET/PREFIX", place)
	}
	endpoint = cmp.Or(endpoint, os.Getenv("AWS_ENDPOINT_URL_S3"), os.Getenv("AWS_ENDPOINT_URL"), "https://s3.amazonaws.com")
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return nil, fmt.Errorf("endpoint: got %q, want one such as https://s3.example.org:9000", endpoint)
	}
	transport, err := minio.DefaultTransport(u.Scheme == "https")
	if err != nil {
		return nil, err
	}
	clock := &serverClock{next: transport}
	keys := s3Credentials()
	core, err := minio.NewCore(u.Host, &minio.Options{
		Creds: keys, Secure: u.Scheme == "https", Transport: clock, MaxRetries: s3Tries,
		Region: cmp.Or(os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"), "us-east-1"),
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", place, err)
	}
	s := &S3{*core, bucket, prefix, clock}
	switch found, err := core.BucketExists(ctx, bucket); {
	case err != nil:
		without := ""
		if v, err := keys.GetWithContext(nil); err != nil || v.AccessKeyID == "" {
			without = " without credentials, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
		}
		return nil, fmt.Errorf("%s: the bucket at %s cannot be asked for%s: %w", place, endpoint, without, s3Error(err))
	case !found:
		return nil, fmt.Errorf("%s: there is no bucket %q at %s", place, bucket, endpoint)
	}
	return s, nil
}

func s3Credentials() *credentials.Credentials {
	chain := []credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}}
	for _, name := range []string{"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} {
		if os.Getenv(name) != "" {
			return credentials.NewChainCredentials(append(chain, &credentials.IAM{}))
		}
	}
	return credentials.NewChainCredentials(chain)
}

// serverClock is a transport that notes the difference between the server's clock and this machine's.
type serverClock struct {
	next  http.RoundTripper
	ahead atomic.Int64 // nanoseconds
}

func (c *serverClock) RoundTrip(r *http.Request) (*http.Response, error) {
	w, err := c.next.RoundTrip(r)
	if err == nil {
		if now, err := http.ParseTime(w.Header.Get("Date")); err == nil {
			c.ahead.Store(int64(time.Until(now)))
		}
	}
	return w, err
}

func (s *S3) String() string { return s3Scheme + s.bucket + "/" + strings.TrimSuffix(s.prefix, "/") }

// Close does nothing: the objects stay.
func (s *S3) Close() error { return nil }

// s3Error converts an error to those of [Objects].
func s3Error(err error) error {
	var r minio.ErrorResponse
	if !errors.As(err, &r) {
		return err
	}
	switch {
	case r.Code == "NoSuchKey" || r.Code == "" && r.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%w: %s", fs.ErrNotExist, r.Message)
	case r.StatusCode == http.StatusPreconditionFailed, r.Code == "ConditionalRequestConflict":
		return ErrChanged
	}
	return fmt.Errorf("%s: %s (%d)", r.Code, strings.TrimSuffix(r.Message, "."), r.StatusCode)
}

func (s *S3) describe(name string, err error) error {
	if err == nil || err == ErrChanged {
		return err
	}
	return fmt.Errorf("%s%s/%s%s: %w", s3Scheme, s.bucket, s.prefix, name, err)
}

// Get implements [Objects].
func (s *S3) Get(ctx context.Context, name string) (io.ReadCloser, Info, error) {
	body, info, _, err := s.core.GetObject(ctx, s.bucket, s.prefix+name, minio.GetObjectOptions{})
	if err != nil {
		return nil, Info{}, s.describe(name, s3Error(err))
	}
	return body, Info{name, info.Size, info.ETag, info.LastModified}, nil
}

// Put implements [Objects].
func (s *S3) Put(ctx context.Context, name string, body io.ReadSeeker, version string) (string, error) {
	var o minio.PutObjectOptions
	o.ContentType, o.DisableContentSha256 = "application/octet-stream", true // its checksum is part of the signature
	if version == Absent {
		o.SetMatchETagExcept("*")
	} else {
		o.SetMatchETag(version)
	}
	h := sha256.New()
	size, err := sizeOf(body)
	if err == nil {
		_, err = io.Copy(h, body)
	}
	if err == nil {
		_, err = body.Seek(0, io.SeekStart)
	}
	if err == nil && size > s3Largest {
		err = fmt.Errorf("got %d bytes, want at most %d in one object", size, int64(s3Largest))
	}
	if err != nil {
		return "", s.describe(name, err)
	}
	info, err := s.core.PutObject(ctx, s.bucket, s.prefix+name, body, size, "", hex.EncodeToString(h.Sum(nil)), o)
	err = s3Error(err)
	if errors.Is(err, fs.ErrNotExist) && version != Absent { // Amazon's answer if there is nothing to match
		err = ErrChanged
	}
	return info.ETag, s.describe(name, err)
}

// Delete implements [Objects].
func (s *S3) Delete(ctx context.Context, name string) error {
	err := s3Error(s.core.RemoveObject(ctx, s.bucket, s.prefix+name, minio.RemoveObjectOptions{}))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return s.describe(name, err)
}

// List implements [Objects].
func (s *S3) List(ctx context.Context, prefix string) (found []Info, err error) {
	for o := range s.core.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: s.prefix + prefix, Recursive: true}) {
		if o.Err != nil {
			return nil, s.describe(prefix, s3Error(o.Err))
		}
		found = append(found, Info{strings.TrimPrefix(o.Key, s.prefix), o.Size, strings.Trim(o.ETag, `"`), o.LastModified})
	}
	return found, ctx.Err()
}

// Now implements [Objects]. Headers are precise to a second, so the result is rather too early than too late: no lease must
// look older than it is.
func (s *S3) Now(context.Context) (time.Time, error) {
	return time.Now().Add(time.Duration(s.clock.ahead.Load()) - time.Second), nil
}
