package replay

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

const (
	maxLine = 4 << 20 // bytes
	// what a worker gets at a time
	batchLines = 64
	batchBytes = 256 << 10
)

// position is where a line is: in which log, and its number there from 1.
type position struct {
	log  int
	line int
	name string
}

func (p position) String() string { return fmt.Sprintf("%s:%d", p.name, p.line) }

type line struct {
	where position
	text  []byte
}

var errTooLong = fmt.Errorf("longer than %d MiB", maxLine>>20)

// readAll passes the lines of all logs to workers, in batches. It leaves out lines that are not JSON objects.
func readAll(ctx context.Context, logs []Log, batches chan<- []line, report *Report) error {
	for i, log := range logs {
		if err := readLog(ctx, i, log, batches, report); err != nil {
			return fmt.Errorf("reading %s: %w", log.Name, err)
		}
	}
	return nil
}

func readLog(ctx context.Context, i int, log Log, batches chan<- []line, report *Report) error {
	reader := bufio.NewReaderSize(log.Reader, 64<<10)
	var batch []line
	size := 0
	send := func() error {
		if len(batch) == 0 {
			return nil
		}
		select {
		case batches <- batch:
			batch, size = nil, 0
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for number := 1; ; number++ {
		text, err := readLine(reader)
		where := position{i, number, log.Name}
		switch {
		case errors.Is(err, io.EOF):
			return send()
		case errors.Is(err, errTooLong):
			report.unreadable(where, err)
			continue
		case err != nil:
			return err
		case !bytes.HasPrefix(text, []byte("{")):
			if len(text) > 0 {
				report.count(func(t *Totals) { t.Other++ })
			}
			continue
		}
		batch = append(batch, line{where, text})
		if size += len(text); len(batch) == batchLines || size >= batchBytes {
			if err := send(); err != nil {
				return err
			}
		}
	}
}

// readLine returns the next line without the space around it. After a line that is too long, the next call returns the
// line after it.
func readLine(reader *bufio.Reader) ([]byte, error) {
	var text []byte
	tooLong := false
	for {
		part, err := reader.ReadSlice('\n')
		if len(text)+len(part) > maxLine {
			text, tooLong = nil, true
		}
		if !tooLong {
			text = append(text, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && (len(text) > 0 || tooLong):
		case err != nil:
			return nil, err
		}
		if tooLong {
			return nil, errTooLong
		}
		return bytes.TrimSpace(text), nil
	}
}
