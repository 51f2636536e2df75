package policy

import "sync"

// workers run jobs on a bounded number of goroutines. A caller can walk away from a job that does
// not end: the job keeps its worker, and so its slot, until it does. Idle workers wait for the
// next job, which spares most jobs a new goroutine and the growing of its stack.
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

// submit hands a job to a worker, and reports false when none came free before giveUp or done.
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

// close ends workers that are idle, and others after their job.
func (w *workers) close() { w.once.Do(func() { close(w.quit) }) }
