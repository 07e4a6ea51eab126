package uploads

// SetBatch has batches end sooner than in production.
func (s *Store) SetBatch(rows, bytes int) { s.batchRows, s.batchBytes = rows, bytes }

// Lease is how long a batch may take.
const Lease = lease
