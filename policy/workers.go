package policy

import "sync"

// workers runs jobs on a bounded number of goroutines. A caller can abandon a job that does not end; the job keeps its
// worker and slot until it does. Idle workers wait for the next job, which saves a new goroutine and the growth of its
// stack.
type workers struct {
	jobs  chan func()
	slots chan struct{}
	quit  chan struct{}
	once  sync.Once
}

func newWorkers(limit int) *workers {
	return &workers{
		jobs:  make(chan func()),
		slots: make(chan struct{}, limit),
		quit:  make(chan struct{}),
	}
}

// submit gives a job to a worker. It returns false if no worker was free before giveUp or done.
func submit[T any](w *workers, job func(), giveUp <-chan T, done <-chan struct{}) bool {
	select {
	case w.jobs <- job:
		return true
	default:
	}
	select {
	case w.jobs <- job:
	case w.slots <- struct{}{}:
		go w.work(job)
	case <-giveUp:
		return false
	case <-done:
		return false
	}
	return true
}

func (w *workers) work(job func()) {
	defer func() { <-w.slots }()
	for {
		job()
		select {
		case job = <-w.jobs:
		case <-w.quit:
			return
		}
	}
}

// close ends idle workers, and others after their job.
func (w *workers) close() { w.once.Do(func() { close(w.quit) }) }
