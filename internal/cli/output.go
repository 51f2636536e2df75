package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// stickyWriter keeps the first error, because a command that did not show a secret must fail.
type stickyWriter struct {
	w   io.Writer
	err error
}

func (s *stickyWriter) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.w.Write(p)
	s.err = err
	return n, err
}

// print writes an answer as JSON, or calls text, which prints it for people.
func (s *session) print(answer any, text func()) error {
	if s.flags.format.value != "json" {
		text()
		return s.out.err
	}
	return printJSON(s.out, answer)
}

func printJSON(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// formatFlag is json or the format for people; anything else is a usage error.
type formatFlag struct{ people, value string }

func forPeople(format string) formatFlag { return formatFlag{format, format} }

func (f *formatFlag) String() string { return f.value }
func (f *formatFlag) Type() string   { return "format" }
func (f *formatFlag) Set(value string) error {
	if value != f.people && value != "json" {
		return fmt.Errorf("it is %s or json", f.people)
	}
	f.value = value
	return nil
}

func (s *session) printf(format string, args ...any) {
	fmt.Fprintf(s.out, format, args...)
}

// warnf writes a text to standard error.
func (s *session) warnf(format string, args ...any) {
	fmt.Fprintf(s.cmd.ErrOrStderr(), format, args...)
}

func (s *session) table(rows ...[]string) { printTable(s.out, rows...) }

// printTable writes rows in columns.
func printTable(out io.Writer, rows ...[]string) {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			row[i] = printable(cell)
		}
		fmt.Fprintln(w, strings.TrimRight(strings.Join(row, "\t"), "\t"))
	}
	_ = w.Flush()
}

// printable quotes a text with characters that a terminal interprets. A line break is one: it could fake another row.
func printable(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}

// printableLines is printable for each line of a text.
func printableLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = printable(line)
	}
	return strings.Join(lines, "\n")
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func timeOr(t time.Time, otherwise string) string {
	if t.IsZero() {
		return otherwise
	}
	return t.UTC().Format(time.RFC3339)
}

func compactJSON(value any) string {
	data, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	return string(data)
}
