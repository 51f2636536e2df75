package policy

import "sync"

// workers bounds how many evaluations run at once, and runs jobs on other goroutines. A caller can abandon a job that does
// not end; the job keeps its slot until it does. Idle workers wait for the next job, which saves a new goroutine and the
// growth of its stack.
type workers struct {
	slots chan struct{} // of what runs now
	idle  chan struct{} // of workers that wait for a job
	jobs  chan func()
	quit  chan struct{}
	once  sync.Once
}

func newWorkers(limit int) *workers {
	return &workers{
		slots: make(chan struct{}, limit),
		idle:  make(chan struct{}, limit),
		jobs:  make(chan func()),
		quit:  make(chan struct{}),
	}
}

// tryAcquire takes a slot if one is free. The caller must release it.
func (w *workers) tryAcquire() bool {
	select {
	case w.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

// acquire takes a slot as soon as one is free. It returns false if none was before giveUp or done.
func acquire[T any](w *workers, giveUp <-chan T, done <-chan struct{}) bool {
	select {
	case w.slots <- struct{}{}:
		return true
	case <-giveUp:
	case <-done:
	}
	return false
}

func (w *workers) release() { <-w.slots }

// submit gives a job to a worker. It returns false if no slot was free before giveUp or done.
func submit[T any](w *workers, job func(), giveUp <-chan T, done <-chan struct{}) bool {
	if !w.tryAcquire() && !acquire(w, giveUp, done) {
		return false
	}
	select {
	case w.jobs <- job:
	default:
		go w.work(job)
	}
	return true
}

// work does a job, and then waits for others unless enough workers do.
func (w *workers) work(job func()) {
	for {
		job()
		w.release()
		select {
		case w.idle <- struct{}{}:
		default:
			return
		}
		select {
		case job = <-w.jobs:
			<-w.idle
		case <-w.quit:
			<-w.idle
			return
		}
	}
}

// close ends idle workers, and others after their job.
func (w *workers) close() { w.once.Do(func() { close(w.quit) }) }
