package store

import "context"

// Open opens a place: s3://BUCKET/PREFIX at an endpoint ([OpenS3]), or a directory.
func Open(ctx context.Context, place, endpoint string) (Objects, error) {
	if IsS3(place) {
		return OpenS3(ctx, place, endpoint)
	}
	return OpenDirectory(place)
}
