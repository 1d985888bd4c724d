package webhookaudit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Files of a spill directory, beside the segments.
const (
	segmentEnd = ".seg"
	cursorFile = "cursor"
	lockFile   = "lock"
)

// spill is a queue on disk: segments that are only appended to, the oldest
// removed when all of it is done, and a cursor that says how far that is. Each
// life begins a new segment, so that nothing is written behind a record that a
// crash cut off.
//
// The cursor is not synced: after a power cut some batches are posted again,
// with the id that they had.
type spill struct {
	dir         string
	max         int64 // bytes of all segments
	segmentSize int64
	sync        bool
	lock        *os.File

	mu       sync.Mutex
	segments []*segment // the oldest first; the last is written to
	out      *os.File   // of the last
	in       *os.File   // of the first; nil until it is read
	readAt   int64      // in the first
	bytes    int64      // of all segments
	cursor   *os.File
}

// segment is one file of a spill.
type segment struct {
	number uint64
	size   int64 // of whole records
	left   gone  // what would be, if it were dropped
}

// openSpill opens the spill in a directory whose lock the caller has, and owns
// the lock from then on.
func openSpill(dir string, lock *os.File, maxBytes int64, syncs bool) (*spill, error) {
	s := &spill{dir: dir, max: maxBytes, segmentSize: min(maxBytes/8, 8<<20), sync: syncs, lock: lock}
	if err := s.load(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// load finds the segments of earlier lives and begins one of this life.
func (s *spill) load() error {
	var err error
	if s.cursor, err = os.OpenFile(filepath.Join(s.dir, cursorFile), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return err
	}
	first, offset := readCursor(s.cursor)
	numbers, err := segmentNumbers(s.dir)
	if err != nil {
		return err
	}
	last := first
	for _, n := range numbers {
		last = max(last, n)
		if n < first {
			if err := os.Remove(s.path(n)); err != nil {
				return err
			}
			continue
		}
		from := int64(0)
		if n == first {
			from = offset
		}
		seg, err := s.scan(n, from)
		if err != nil {
			return err
		}
		s.segments = append(s.segments, seg)
		s.bytes += seg.size
	}
	if len(s.segments) > 0 && s.segments[0].number == first {
		s.readAt = min(offset, s.segments[0].size)
	}
	return s.begin(last + 1)
}

// scan finds how much of a segment is whole, and counts the events that are not
// done.
func (s *spill) scan(number uint64, from int64) (*segment, error) {
	f, err := os.Open(s.path(number))
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // was only read
	seg := &segment{number: number}
	for {
		b, err := readRecord(f, seg.size)
		if err != nil {
			return seg, nil // the end, or what a crash cut off
		}
		if seg.size >= from {
			seg.left.add(b.counts())
		}
		seg.size += b.recordSize()
	}
}

// begin makes a new segment the one that is written to.
func (s *spill) begin(number uint64) error {
	out, err := os.OpenFile(s.path(number), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if s.sync {
		if err := syncDir(s.dir); err != nil {
			return errors.Join(err, out.Close())
		}
	}
	if s.out != nil {
		_ = s.out.Close() // its writes were answered
	}
	s.out = out
	s.segments = append(s.segments, &segment{number: number})
	return nil
}

func (s *spill) put(b batch) (lost gone, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	record := appendRecord(nil, &b)
	last := s.segments[len(s.segments)-1]
	if last.size > 0 && last.size+int64(len(record)) > s.segmentSize {
		if err := s.begin(last.number + 1); err != nil {
			return lost, fmt.Errorf("spill: %w", err)
		}
		last = s.segments[len(s.segments)-1]
	}
	for s.bytes+int64(len(record)) > s.max && len(s.segments) > 1 {
		lost.add(s.segments[0].left)
		if err := s.removeFirst(); err != nil {
			return lost, fmt.Errorf("spill: %w", err)
		}
	}
	if _, err := s.out.WriteAt(record, last.size); err != nil {
		return lost, fmt.Errorf("spill: %w", err) // the next record is written over it
	}
	if s.sync {
		if err := s.out.Sync(); err != nil {
			return lost, fmt.Errorf("spill: %w", err)
		}
	}
	last.size += int64(len(record))
	last.left.add(b.counts())
	s.bytes += int64(len(record))
	return lost, nil
}

func (s *spill) head() (b batch, damaged gone, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		first := s.segments[0]
		if s.readAt < first.size {
			b, err := s.read(first)
			if err == nil {
				return b, damaged, true
			}
			damaged.add(first.left) // the rest cannot be told apart
			first.left, s.readAt = gone{}, first.size
		}
		if len(s.segments) == 1 || s.removeFirst() != nil {
			return batch{}, damaged, false
		}
	}
}

func (s *spill) read(first *segment) (batch, error) {
	if s.in == nil {
		in, err := os.Open(s.path(first.number))
		if err != nil {
			return batch{}, err
		}
		s.in = in
	}
	b, err := readRecord(s.in, s.readAt)
	b.segment = first.number
	return b, err
}

func (s *spill) done(b batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.segments[0]
	if first.number != b.segment || s.readAt != b.offset {
		return nil // dropped meanwhile
	}
	s.readAt += b.recordSize()
	first.left.events -= b.events
	first.left.told -= b.told
	if s.readAt == first.size && len(s.segments) > 1 {
		return s.removeFirst()
	}
	return s.writeCursor()
}

// removeFirst removes the oldest segment, done or not.
func (s *spill) removeFirst() error {
	if s.in != nil {
		_ = s.in.Close() // was only read
		s.in = nil
	}
	first := s.segments[0]
	if err := os.Remove(s.path(first.number)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.segments, s.bytes, s.readAt = s.segments[1:], s.bytes-first.size, 0
	return s.writeCursor()
}

func (s *spill) waiting() (events int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seg := range s.segments {
		events += seg.left.events
	}
	return events
}

func (s *spill) durable() bool { return true }

func (s *spill) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	for _, f := range []*os.File{s.in, s.out, s.cursor, s.lock} { // the lock last
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}

func (s *spill) path(number uint64) string {
	return filepath.Join(s.dir, fmt.Sprintf("%016d%s", number, segmentEnd))
}

// writeCursor puts down where the oldest batch is. The text always has the same
// length, so that one write replaces all of it.
func (s *spill) writeCursor() error {
	_, err := s.cursor.WriteAt(fmt.Appendf(nil, "%020d %020d\n", s.segments[0].number, s.readAt), 0)
	return err
}

// readCursor returns the beginning for a cursor that makes no sense: batches
// are then posted again.
func readCursor(f *os.File) (segment uint64, offset int64) {
	var text [42]byte
	if _, err := f.ReadAt(text[:], 0); err != nil {
		return 0, 0
	}
	number, at, _ := strings.Cut(strings.TrimSuffix(string(text[:]), "\n"), " ")
	segment, err1 := strconv.ParseUint(number, 10, 64)
	offset, err2 := strconv.ParseInt(at, 10, 64)
	if err1 != nil || err2 != nil || offset < 0 {
		return 0, 0
	}
	return segment, offset
}

// segmentNumbers lists the segments of a directory, the oldest first.
func segmentNumbers(dir string) (numbers []uint64, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), segmentEnd)
		if n, err := strconv.ParseUint(name, 10, 64); ok && err == nil {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// syncDir makes a new name in a directory safe from a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
