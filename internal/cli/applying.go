package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
)

// progressPause is how long a log that is not a terminal waits for the next line about progress.
const progressPause = 10 * time.Second

// applying is an apply or a diff that a server works on. It shows the progress, and says what was done if it breaks off.
type applying struct {
	*session
	dryRun bool
	again  string // the command that shows what is left to do

	last  api.Progress
	shown time.Time // when a line about progress was printed
}

// send sends a registry file and reads the answer, which can be lines of progress with the result at the end.
func (p *applying) send(query url.Values, mediaType string, data []byte) (*api.Applied, error) {
	ctx, stop := signal.NotifyContext(p.ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	p.ctx, p.accept = ctx, api.TypeLines+", application/json"
	response, err := p.session.send(http.MethodPost, "/apply", query, mediaType, data)
	if err != nil {
		return nil, p.failed(ctx, err)
	}
	defer response.Body.Close()
	answer, err := p.receive(response)
	p.clear()
	if err != nil {
		return nil, p.failed(ctx, err)
	}
	return answer, nil
}

func (p *applying) receive(response *http.Response) (*api.Applied, error) {
	answer := new(api.Applied)
	if kind, _, err := mime.ParseMediaType(response.Header.Get("Content-Type")); err != nil || kind != api.TypeLines {
		return answer, p.read(response, answer)
	}
	decoder := json.NewDecoder(io.LimitReader(response.Body, api.MaxAnswer))
	decoder.UseNumber()
	for {
		var line api.Line
		if err := decoder.Decode(&line); err != nil {
			return nil, errBrokeOff
		}
		switch {
		case line.Progress != nil:
			p.show(*line.Progress)
		case line.Failed != nil:
			return nil, refusedBy(line.Failed, line.Failed.Status())
		case line.Applied != nil:
			return line.Applied, nil
		}
	}
}

var errBrokeOff = &exitError{exitUnavailable, errors.New("the server closed the connection before it was done, see its log")}

// failed returns an error that says what was done.
func (p *applying) failed(ctx context.Context, err error) error {
	var refused *refusal
	switch {
	case errors.As(err, &refused):
		for _, c := range refused.answer.Written {
			p.printChange(c)
		}
		return err
	case ctx.Err() != nil:
		return &exitError{exitInterrupted, fmt.Errorf("interrupted: %s", p.done())}
	case errors.Is(err, errBrokeOff):
		return &exitError{exitUnavailable, fmt.Errorf("%w: %s", err, p.done())}
	}
	return err
}

// done says what was done when the connection ended. A server that still runs finishes what it has begun.
func (p *applying) done() string {
	switch {
	case p.dryRun:
		return "nothing is changed"
	case p.last.Doing == "writing":
		return fmt.Sprintf("%d of %d changes were written by then, and the server goes on with the rest. To see what is left: %s", p.last.Done, p.last.Total, p.again)
	}
	return "nothing was written by then, as far as is known, and the server goes on if it has begun. To see what is left: " + p.again
}

// show shows the progress: at a terminal always in the same line, and elsewhere from time to time.
func (p *applying) show(now api.Progress) {
	p.last = now
	text := fmt.Sprintf("%s: %d of %d", printable(now.Doing), now.Done, now.Total)
	switch {
	case p.atTerminal():
		p.warnf("\r\x1b[K%s", text)
	case time.Since(p.shown) >= progressPause:
		p.warnf("%s\n", text)
	default:
		return
	}
	p.shown = time.Now()
}

func (p *applying) clear() {
	if p.atTerminal() && !p.shown.IsZero() {
		p.warnf("\r\x1b[K")
	}
}

func (p *applying) atTerminal() bool {
	out, ok := p.cmd.ErrOrStderr().(*os.File)
	return ok && isatty.IsTerminal(out.Fd())
}
