package cli

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/spf13/cobra"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

func (h *Host) clientKeyCommand() *cobra.Command {
	list := &cobra.Command{Use: "list <client>", Short: "Lists the public keys of a client", Args: cobra.ExactArgs(1)}
	return group("key", "Works with the public keys of a client", `  $ caddy m2m client key add ci-bot --generate ci-bot.pem
  $ caddy m2m client key add ci-bot public.pem
  $ caddy m2m client key list ci-bot`,
		h.addClientKeyCommand(), getCommand(h, list, "/clients%s/keys", (*session).printClientKeyList), h.removeClientKeyCommand())
}

func (h *Host) addClientKeyCommand() *cobra.Command {
	var generate, kid string
	cmd := &cobra.Command{
		Use:   "add <client> [file] [flags]",
		Short: "Adds a public key to a client",
		Long: `
Adds a public key, so that the client can authenticate with the private one
(private_key_jwt) or with a certificate of it (self_signed_tls_client_auth). The file is
a JWK, or PEM with a public key or a certificate. A private key is refused.

With --generate, it makes a new key on P-256 instead, for ES256. It writes the private key
to a new file, as PKCS #8 in PEM, which only its owner can read, and sends the public key.
The server never has the private key.

To replace a key, add the new one, give it to the client, and remove the old one.`,
		Example: `  $ caddy m2m client key add ci-bot --generate ci-bot.pem
  $ openssl pkey -in ci-bot.pem -pubout | caddy m2m client key add ci-bot -`,
		Args: cobra.RangeArgs(1, 2),
	}
	cmd.Flags().StringVar(&generate, "generate", "", "make a new key, and write the private one to this new file")
	cmd.Flags().StringVar(&kid, "kid", "", "kid of the key; default is that of the JWK, or else the thumbprint")
	return h.administer(cmd, func(s *session, args []string) error {
		if (generate == "") == (len(args) == 1) {
			return api.Invalid("give a file with a public key, or --generate")
		}
		if generate != "" {
			return s.generateKey(args[0], generate, kid)
		}
		public, err := s.readPublicKey(args[1])
		if err != nil {
			return err
		}
		return s.addKey(args[0], public.Named(kid))
	})
}

// generateKey writes the private key before it sends the public one, so that no client has a key that no one has. It deletes
// the file if the server refuses the key.
func (s *session) generateKey(client, file, kid string) error {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	public, err := registry.PublicKey(private.Public())
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	written, err := writeNew(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err == nil && !written {
		err = api.Invalid("%s exists already: a key is written to a new file", file)
	}
	if err != nil {
		return err
	}
	if err := s.addKey(client, public.Named(kid)); err != nil {
		var refused *refusal
		if errors.As(err, &refused) { // otherwise the server may have it
			_ = os.Remove(file)
		}
		return err
	}
	s.warnf("The private key is in %s. Give it to the client, and keep no copy.\n", file)
	return nil
}

func (s *session) addKey(client string, key registry.Key) error {
	return ask(s, http.MethodPost, "/clients"+segment(client)+"/keys", nil, json.RawMessage(key.JWK()), func(s *session, added api.ClientKey) {
		s.printf("key %s of %s is added, with the thumbprint %s\n", printable(orDash(added.KID)), printable(client), added.Thumbprint)
	})
}

// maxKeyFile is the greatest number of bytes of a file with a key.
const maxKeyFile = 64 << 10

// readPublicKey reads a JWK or PEM from a file, or from standard input for "-".
func (s *session) readPublicKey(name string) (registry.Key, error) {
	var in io.Reader = s.cmd.InOrStdin()
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return registry.Key{}, err
		}
		defer file.Close()
		in = file
	}
	data, err := readBounded(in, maxKeyFile)
	if err != nil {
		return registry.Key{}, err
	}
	key, err := parsePublicKey(data)
	if err != nil {
		return registry.Key{}, &exitError{exitInvalid, fmt.Errorf("reading the key: %w", err)}
	}
	return key, nil
}

var (
	errKeyFile    = errors.New("the file is neither a JWK nor PEM with a public key or a certificate")
	errKeyPrivate = errors.New(`this is a private key, which stays with the client: "openssl pkey -pubout" prints its public key`)
)

// parsePublicKey parses a JWK, or PEM. Errors do not repeat the key.
func parsePublicKey(data []byte) (registry.Key, error) {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		key, err := registry.ParseKey(data)
		return key, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return registry.Key{}, errKeyFile
	}
	var public crypto.PublicKey
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		public, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		public, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var certificate *x509.Certificate
		if certificate, err = x509.ParseCertificate(block.Bytes); err == nil {
			public = certificate.PublicKey
		}
	case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY":
		return registry.Key{}, errKeyPrivate
	default:
		return registry.Key{}, errKeyFile
	}
	if err != nil {
		return registry.Key{}, errKeyFile
	}
	return registry.PublicKey(public)
}

func (s *session) printClientKeyList(list api.ClientKeyList) {
	if len(list.Keys) == 0 {
		client := shellWord(s.cmd.Flags().Arg(0))
		s.warnf("The client has no key. To make one: %s m2m client key add %s --generate %s\n", programName(), client, shellWord(s.cmd.Flags().Arg(0)+".pem"))
		return
	}
	s.printClientKeys(list.Keys)
}

func (s *session) printClientKeys(keys []api.ClientKey) {
	rows := [][]string{{"KEY", "ALG", "THUMBPRINT", "LAST USED"}}
	for _, k := range keys {
		rows = append(rows, []string{orDash(k.KID), orDash(k.Alg), k.Thumbprint, timeOr(k.LastUsed, "never")})
	}
	s.table(rows...)
}

func (h *Host) removeClientKeyCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "remove <client> <key> [flags]",
		Short: "Removes a public key of a client, by its kid or its thumbprint",
		Long: `
Removes a public key, by its kid or its thumbprint. From the next request on, the
client cannot authenticate with it. Tokens that it has got are valid until they expire.`,
		Args: cobra.ExactArgs(2),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "skip the confirmation")
	return h.administer(cmd, func(s *session, args []string) error {
		if !yes && !s.confirm(fmt.Sprintf("Remove key %s of client %s?", printable(args[1]), printable(args[0]))) {
			return errors.New("nothing was removed; --yes skips the question")
		}
		if err := s.call(http.MethodDelete, "/clients"+segment(args[0])+"/keys"+segment(args[1]), nil, nil, nil); err != nil {
			return err
		}
		return s.print(map[string]string{"client_id": args[0], "removed": args[1]}, func() {
			s.printf("key %s of %s is removed\n", printable(args[1]), printable(args[0]))
		})
	})
}
