package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
)

// checkJSON fails with the place of the error if data is not one JSON object, or a name in it is repeated.
func checkJSON(data []byte) error {
	d := jsontext.NewDecoder(bytes.NewReader(data))
	value, err := d.ReadValue()
	if err == nil && value.Kind() != '{' {
		return api.Invalid("the body must be a JSON object")
	}
	if err == nil {
		_, err = d.ReadToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = errors.New("something follows the JSON object")
		}
	}
	return api.Invalid("the body, %s: %s", placeOf(err, d.InputOffset(), data), jsonFault(err))
}

// jsonFault returns what is wrong, without the decoder's words around it.
func jsonFault(err error) string {
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return "the JSON is not complete"
	case errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &syntax):
		return fmt.Sprintf("the name %q is repeated", syntax.JSONPointer.LastToken())
	case errors.As(err, &syntax):
		return "it is not JSON: " + syntax.Err.Error()
	}
	return err.Error()
}

// placeOf returns the place of an error, which is at offset unless the error has its own.
func placeOf(err error, offset int64, data []byte) string {
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		offset = syntax.ByteOffset
	}
	before := data[:min(int(offset), len(data))]
	return fmt.Sprintf("line %d, column %d", bytes.Count(before, []byte("\n"))+1, len(before)-bytes.LastIndexByte(before, '\n'))
}

// decodeObject reads a JSON object, and keeps its numbers as they are written.
func decodeObject(data []byte) (object map[string]any, err error) {
	if err := checkJSON(data); err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&object); err != nil {
		return nil, api.Invalid("the body cannot be read")
	}
	return object, nil
}
