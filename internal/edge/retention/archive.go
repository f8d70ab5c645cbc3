package retention

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"payonce/internal/platform/fault"
	keep "payonce/once/retention"
)

// Archived is one line of an archive: an event as it stood in the outbox.
type Archived struct {
	EventID          uuid.UUID  `json:"event_id" db:"event_id"`
	Type             string     `json:"type" db:"type"`
	AggregateType    string     `json:"aggregate_type" db:"aggregate_type"`
	AggregateID      uuid.UUID  `json:"aggregate_id" db:"aggregate_id"`
	AggregateVersion int64      `json:"aggregate_version" db:"aggregate_version"`
	MerchantID       *uuid.UUID `json:"merchant_id" db:"merchant_id"`
	CorrelationID    *uuid.UUID `json:"correlation_id" db:"correlation_id"`
	CreatedAt        time.Time  `json:"created_at" db:"created_at"`
	PublishedAt      *time.Time `json:"published_at" db:"published_at"`
	// Payload is base64 in the file: the very bytes that were published.
	Payload []byte `json:"payload" db:"payload"`
}

const (
	archiveSuffix = ".jsonl.gz"
	partialSuffix = ".partial"
	archivePage   = 1000
)

// ErrArchive says that an archive could not be read back as it was written. The
// partition stays.
var ErrArchive = errors.New("the archive does not read back as it was written")

// archive writes the day's events of the archived types into a file, and returns
// after the file is certain: read back, on disk, under its final name. A file
// under its final name is whole, always; what a crash leaves behind is called
// .partial and is written anew. Run twice, or by two processes at once, it makes
// the same file.
func (k *Keeper) archive(ctx context.Context, d keep.Day) error {
	if k.cfg.ArchiveDir == "" {
		return nil
	}
	k.sweepPartials()
	f, err := os.CreateTemp(k.cfg.ArchiveDir, d.Part+".*"+partialSuffix)
	if err != nil {
		return err
	}
	partial := f.Name()
	lines, sum, err := k.writeDay(ctx, f, d)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = verify(partial, lines, sum)
	}
	if err != nil {
		return errors.Join(err, os.Remove(partial))
	}
	if err := os.Rename(partial, filepath.Join(k.cfg.ArchiveDir, d.Part+archiveSuffix)); err != nil {
		return err
	}
	if err := syncFolder(k.cfg.ArchiveDir); err != nil {
		return err
	}
	k.archivedRows.Add(lines)
	k.cfg.Log.Info("a partition was archived", "partition", d.Part, "events", lines)
	return nil
}

const archiveSQL = `
SELECT event_id, type, aggregate_type, aggregate_id, aggregate_version, merchant_id, correlation_id, created_at, published_at, payload
  FROM outbox_events
 WHERE row_id >= uuid_v7_floor($1::date::timestamp AT TIME ZONE 'UTC')
   AND row_id < uuid_v7_floor(($1::date + 1)::timestamp AT TIME ZONE 'UTC')
   AND row_id > $2 AND type = ANY ($3) AND destination IS NULL -- a replay is a second row about an event
 ORDER BY row_id LIMIT $4`

// writeDay pages through the day; without a destination row_id is event_id. The
// sum is of the text before compression.
func (k *Keeper) writeDay(ctx context.Context, w io.Writer, d keep.Day) (lines int64, sum string, err error) {
	zip := gzip.NewWriter(w)
	digest := sha256.New()
	out := json.NewEncoder(io.MultiWriter(zip, digest))
	after := uuid.Nil
	for {
		var rows []Archived
		if err := k.cfg.DB.Select(ctx, &rows, archiveSQL, d.Day, after, pq.Array(k.cfg.ArchiveTypes), archivePage); err != nil {
			return 0, "", err
		}
		for _, row := range rows {
			after = row.EventID
			lines++
			if err := out.Encode(row); err != nil {
				return 0, "", err
			}
		}
		if err := fault.Point("retention.after_fetch"); err != nil {
			return 0, "", err
		}
		if len(rows) < archivePage {
			return lines, hexOf(digest), zip.Close()
		}
	}
}

// verify reads a file back and compares it with what was written.
func verify(path string, lines int64, sum string) error {
	digest := sha256.New()
	var n int64
	err := ReadArchive(path, func(line []byte, _ Archived) error {
		n++
		_, err := digest.Write(append(line, '\n'))
		return err
	})
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrArchive, err)
	case n != lines || hexOf(digest) != sum:
		return fmt.Errorf("%w: %d of %d lines", ErrArchive, n, lines)
	}
	return nil
}

// ReadArchive hands each event of an archive to f, oldest first, with its line.
// A file that was cut short is an error, after the lines it has.
func ReadArchive(path string, f func(line []byte, e Archived) error) error {
	file, err := os.Open(path) //nolint:gosec // the operator names the folder
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	unzip, err := gzip.NewReader(file)
	if err != nil {
		return err
	}
	const longest = 1 << 24
	lines := bufio.NewScanner(unzip)
	lines.Buffer(nil, longest)
	for lines.Scan() {
		var e Archived
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return err
		}
		if err := f(lines.Bytes(), e); err != nil {
			return err
		}
	}
	return lines.Err()
}

// sweepPartials removes what killed processes left; a young one may be another
// worker's, at work.
func (k *Keeper) sweepPartials() {
	found, _ := filepath.Glob(filepath.Join(k.cfg.ArchiveDir, "*"+partialSuffix))
	for _, path := range found {
		if info, err := os.Stat(path); err == nil && k.cfg.Now().Sub(info.ModTime()) > day {
			if err := os.Remove(path); err != nil {
				k.cfg.Log.Warn("a partial archive cannot be removed", "file", path, "error", err)
			}
		}
	}
}

// syncFolder makes a rename durable.
func syncFolder(path string) error {
	folder, err := os.Open(path) //nolint:gosec // the operator names the folder
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

func hexOf(h hash.Hash) string { return fmt.Sprintf("%x", h.Sum(nil)) }
