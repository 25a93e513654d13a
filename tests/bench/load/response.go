package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

var endOfHead = []byte("\r\n\r\n")

// Response is the head of an HTTP/1.1 response and where its body lies in the buffer.
type Response struct {
	Answer
	status int
	close  bool
	size   int // head and body
}

var errIncomplete = errors.New("incomplete")

// parseResponse reads a response from the start of buffer. errIncomplete: more bytes are needed.
func parseResponse(buffer []byte, into *Response) error {
	end := bytes.Index(buffer, endOfHead)
	if end < 0 {
		return errIncomplete
	}
	head := buffer[:end+2]
	if len(head) < 12 || !bytes.HasPrefix(head, []byte("HTTP/1.1 ")) {
		return fmt.Errorf("the response begins with %.40q", head)
	}
	*into = Response{status: int(head[9]-'0')*100 + int(head[10]-'0')*10 + int(head[11]-'0')}
	length := -1
	for line := bytes.IndexByte(head, '\n') + 1; line < len(head); {
		stop := line + bytes.IndexByte(head[line:], '\r')
		colon := bytes.IndexByte(head[line:stop], ':')
		if colon < 0 {
			return fmt.Errorf("the response has the header line %.60q", head[line:stop])
		}
		if err := into.header(head[line:line+colon], bytes.TrimSpace(head[line+colon+1:stop]), &length); err != nil {
			return err
		}
		line = stop + 2
	}
	if length < 0 {
		return errors.New("the response has no content-length")
	}
	into.size = end + len(endOfHead) + length
	if len(buffer) < into.size {
		return errIncomplete
	}
	into.body = buffer[end+len(endOfHead) : into.size]
	return nil
}

func (r *Response) header(name, value []byte, length *int) error {
	var err error
	switch {
	case bytes.EqualFold(name, []byte("content-length")):
		if *length, err = strconv.Atoi(string(value)); err != nil {
			return fmt.Errorf("content-length is %.20q", value)
		}
	case bytes.EqualFold(name, []byte("connection")):
		r.close = bytes.EqualFold(value, []byte("close"))
	case bytes.EqualFold(name, []byte("podium-version")):
		r.version = value
	case bytes.EqualFold(name, []byte("podium-fallback")):
		r.fallback = value
	case bytes.EqualFold(name, []byte("inference-header-content-length")):
		if r.jsonLength, err = strconv.Atoi(string(value)); err != nil {
			return fmt.Errorf("inference-header-content-length is %.20q", value)
		}
	}
	return nil
}
