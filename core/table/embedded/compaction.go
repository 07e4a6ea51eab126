package embedded

import (
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// compactionScheduler decides when the engine compacts: as the engine's own
// scheduler would, but not before the directory is open. Opening waits for
// compactions at work, and after a crash in the middle of a bulk load there is
// one waiting that takes seconds.
type compactionScheduler struct {
	db pebble.DBForCompaction
	// poke asks the granter to look whether a compaction may begin.
	poke chan struct{}
	stop chan struct{}
	work sync.WaitGroup

	mu sync.Mutex
	// started is set from start until Unregister.
	started bool
	running int
}

var (
	_ pebble.CompactionScheduler   = (*compactionScheduler)(nil)
	_ pebble.CompactionGrantHandle = (*compactionScheduler)(nil)
)

func newCompactionScheduler() *compactionScheduler {
	return &compactionScheduler{poke: make(chan struct{}, 1), stop: make(chan struct{})}
}

// start lets compactions begin.
func (s *compactionScheduler) start() {
	s.mu.Lock()
	s.started = true
	s.mu.Unlock()
	s.work.Go(s.grantWhenPoked)
	s.pokeGranter()
}

// Register implements pebble.CompactionScheduler.
func (s *compactionScheduler) Register(_ int, db pebble.DBForCompaction) { s.db = db }

// Unregister implements pebble.CompactionScheduler.
func (s *compactionScheduler) Unregister() {
	s.mu.Lock()
	s.started = false
	s.mu.Unlock()
	close(s.stop)
	s.work.Wait()
}

// TrySchedule implements pebble.CompactionScheduler. What it refuses stays
// waiting until the granter asks for it.
func (s *compactionScheduler) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	return s.reserve(), s
}

// UpdateGetAllowedWithoutPermission implements pebble.CompactionScheduler.
func (s *compactionScheduler) UpdateGetAllowedWithoutPermission() { s.pokeGranter() }

// Started implements pebble.CompactionGrantHandle.
func (s *compactionScheduler) Started() {}

// MeasureCPU implements pebble.CompactionGrantHandle.
func (s *compactionScheduler) MeasureCPU(pebble.CompactionGoroutineKind) {}

// CumulativeStats implements pebble.CompactionGrantHandle.
func (s *compactionScheduler) CumulativeStats(pebble.CompactionGrantHandleStats) {}

// Done implements pebble.CompactionGrantHandle.
func (s *compactionScheduler) Done() {
	s.release()
	s.pokeGranter()
}

// reserve counts one more compaction as running, if one may.
func (s *compactionScheduler) reserve() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.started || s.running >= s.db.GetAllowedWithoutPermission() {
		return false
	}
	s.running++
	return true
}

func (s *compactionScheduler) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
}

func (s *compactionScheduler) pokeGranter() {
	select {
	case s.poke <- struct{}{}:
	default:
	}
}

// grantWhenPoked begins waiting compactions. How many may run also grows
// without a poke, with the engine's backlog, so it looks from time to time.
func (s *compactionScheduler) grantWhenPoked() {
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-s.poke:
		case <-look.C:
		case <-s.stop:
			return
		}
		for s.reserve() {
			if waiting, _ := s.db.GetWaitingCompaction(); !waiting || !s.db.Schedule(s) {
				s.release()
				break
			}
		}
	}
}
