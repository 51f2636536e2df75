package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"strconv"
)

// conn speaks HTTP/1.1 by hand, for net/http's client would take more time than some of the sites.
type conn struct {
	address string
	tls     bool
	net.Conn
	reader *bufio.Reader
	body   bytes.Buffer // of the last answer
	wait   int          // the seconds of its Retry-After
}

// open connects, unless the connection is open.
func (c *conn) open() error {
	if c.Conn != nil {
		return nil
	}
	plain, err := net.Dial("tcp", c.address)
	if err != nil {
		return err
	}
	_ = plain.(*net.TCPConn).SetLinger(0) // thousands of connections in TIME_WAIT would take all ports
	c.Conn = plain
	if c.tls {
		// The certificate is of this run. No session is resumed: each connection has a whole handshake.
		c.Conn = tls.Client(plain, &tls.Config{InsecureSkipVerify: true})
	}
	if c.reader == nil {
		c.reader = bufio.NewReader(nil)
	}
	c.reader.Reset(c.Conn)
	return nil
}

func (c *conn) hangUp() {
	if c.Conn == nil {
		return
	}
	if secure, ok := c.Conn.(*tls.Conn); ok {
		_ = secure.NetConn().Close()
	}
	_ = c.Conn.Close()
	c.Conn = nil
}

// do sends a request and reads the answer. After an error the connection is closed.
func (c *conn) do(request []byte) (status int, err error) {
	if err := c.open(); err != nil {
		return 0, err
	}
	if _, err = c.Write(request); err == nil {
		var last bool
		if status, last, err = c.read(); err == nil && !last {
			return status, nil
		}
	}
	c.hangUp()
	return status, err
}

var errBadAnswer = errors.New("the answer is not HTTP")

// read reads an answer, and says whether it is the last on this connection.
func (c *conn) read() (status int, last bool, err error) {
	line, err := c.reader.ReadSlice('\n')
	if err != nil {
		return 0, false, err
	}
	if len(line) < 12 {
		return 0, false, errBadAnswer
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, false, errBadAnswer
	}
	c.wait = 0
	length, chunked := 0, false
	for {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return 0, false, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch string(name) {
		case "Content-Length":
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, false, errBadAnswer
			}
		case "Retry-After":
			c.wait, _ = strconv.Atoi(string(value))
		case "Transfer-Encoding":
			chunked = true
		case "Connection":
			last = string(value) == "close"
		}
	}
	return status, last, c.readBody(length, chunked)
}

func (c *conn) readBody(length int, chunked bool) error {
	c.body.Reset()
	if !chunked {
		_, err := io.CopyN(&c.body, c.reader, int64(length))
		return err
	}
	if _, err := c.body.ReadFrom(httputil.NewChunkedReader(c.reader)); err != nil {
		return err
	}
	_, err := c.reader.Discard(len("\r\n"))
	return err
}

// rawPost is a token request, or another with a form, as it is sent.
func rawPost(address, path, form string) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
		path, address, len(form), form)
}

// rawGet is a request for books, with the token if there is one.
func rawGet(address, token string) []byte {
	raw := fmt.Appendf(nil, "GET /books HTTP/1.1\r\nHost: %s\r\n", address)
	if token != "" {
		raw = fmt.Appendf(raw, "Authorization: Bearer %s\r\n", token)
	}
	return append(raw, "\r\n"...)
}
