package cli

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
)

// deleteCommand deletes an entry after a confirmation.
func (h *Host) deleteCommand(what, short, path string) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{Use: "delete <name>", Short: short, Args: cobra.ExactArgs(1)}
	cmd.Flags().BoolVar(&yes, "yes", false, "skip the confirmation")
	return h.administer(cmd, func(s *session, args []string) error {
		if !yes && !s.confirm(fmt.Sprintf("Delete %s %s?", what, printable(args[0]))) {
			return errors.New("nothing was deleted; --yes skips the question")
		}
		if err := s.call(http.MethodDelete, path+segment(args[0]), nil, nil, nil); err != nil {
			return err
		}
		return s.print(map[string]string{"deleted": args[0]}, func() { s.printf("%s %s is deleted\n", what, printable(args[0])) })
	})
}

// confirm asks a question at the terminal. Without a terminal the answer is no.
func (s *session) confirm(question string) bool {
	in, ok := s.cmd.InOrStdin().(*os.File)
	if !ok || !isatty.IsTerminal(in.Fd()) {
		return false
	}
	s.warnf("%s [y/N] ", question)
	answer, _ := bufio.NewReader(in).ReadString('\n')
	return strings.EqualFold(strings.TrimSpace(answer), "y")
}
