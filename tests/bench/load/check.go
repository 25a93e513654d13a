package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unsafe"
)

// A sum of a hundred single-precision leaves may be added in another order.
const tolerance = 1e-4

// Answer is what a server said, taken apart as far as needed.
type Answer struct {
	version    []byte
	fallback   []byte
	body       []byte
	jsonLength int // of a binary answer's JSON head
}

// Checker compares one output tensor of answers with what was expected. It keeps its scratch space.
type Checker struct {
	output  []byte
	form    string
	numbers []float64
}

func newChecker(settings Settings) (*Checker, error) {
	switch settings.Form {
	case "json", "binary", "grpc":
	case "":
		if settings.Output != "" {
			return nil, fmt.Errorf("output %q is to be compared, and form does not say whether it is json, binary or grpc", settings.Output)
		}
	default:
		return nil, fmt.Errorf("form is %q, must be json, binary or grpc", settings.Form)
	}
	output := settings.Output
	if settings.Form == "json" {
		output = strconv.Quote(output)
	}
	return &Checker{output: []byte(output), form: settings.Form}, nil
}

// wrong says what is wrong with the answer; empty: nothing. checked tells whether numbers were compared.
func (c *Checker) wrong(asked *Asked, answer *Answer) (wrong string, checked bool) {
	if c.form == "" {
		return "", false
	}
	want, known := asked.Expect[string(answer.version)]
	if !known {
		if want, known = asked.Expect[""]; !known {
			return fmt.Sprintf("nothing is known of version %q", answer.version), false
		}
	}
	got, err := c.read(answer)
	if err != nil {
		return err.Error(), true
	}
	if len(got) != len(want) {
		return fmt.Sprintf("output %s has %d numbers, %d were expected", c.output, len(got), len(want)), true
	}
	for index := range got {
		if !(math.Abs(got[index]-want[index]) <= tolerance) {
			return fmt.Sprintf("number %d of output %s is %g, %g was expected of version %q", index, c.output, got[index], want[index], answer.version), true
		}
	}
	return "", true
}

func (c *Checker) read(answer *Answer) ([]float64, error) {
	c.numbers = c.numbers[:0]
	switch c.form {
	case "json":
		return c.readJSON(answer.body)
	case "binary":
		return c.readBinary(answer.body, answer.jsonLength)
	}
	return c.readGRPC(answer.body)
}

// readJSON scans instead of parsing: after the output's name comes its data, in every server's answers.
func (c *Checker) readJSON(body []byte) ([]float64, error) {
	at := bytes.Index(body, c.output)
	if at < 0 {
		return nil, fmt.Errorf("there is no output %s in %.300s", c.output, body)
	}
	rest := body[at+len(c.output):]
	start := bytes.Index(rest, []byte(`"data"`))
	if start < 0 {
		return nil, fmt.Errorf("output %s has no data in %.300s", c.output, body)
	}
	if err := c.readNumbers(rest[start+len(`"data"`):]); err != nil {
		return nil, fmt.Errorf("output %s: %w in %.300s", c.output, err, body)
	}
	return c.numbers, nil
}

// readNumbers takes the numbers of a list, however it is nested, up to the list's end.
func (c *Checker) readNumbers(text []byte) error {
	depth := 0
	for index := 0; index < len(text); {
		switch text[index] {
		case '[':
			depth++
			index++
		case ']':
			if depth--; depth == 0 {
				return nil
			}
			index++
		case ',', ' ', ':', '\n':
			index++
		default:
			length := lengthOfNumber(text[index:])
			number, err := strconv.ParseFloat(unsafe.String(&text[index], length), 64)
			if err != nil {
				return fmt.Errorf("%.30q is no number", text[index:index+length])
			}
			c.numbers = append(c.numbers, number)
			index += length
		}
	}
	return errors.New("its data does not end")
}

func lengthOfNumber(text []byte) int {
	for index, letter := range text {
		if letter == ',' || letter == ']' || letter == ' ' || letter == '\n' {
			return index
		}
	}
	return len(text)
}

type binaryHead struct {
	Outputs []struct {
		Name       string `json:"name"`
		Datatype   string `json:"datatype"`
		Parameters struct {
			Size int `json:"binary_data_size"`
		} `json:"parameters"`
		Data json.RawMessage `json:"data"`
	} `json:"outputs"`
}

func (c *Checker) readBinary(body []byte, jsonLength int) ([]float64, error) {
	if jsonLength <= 0 || jsonLength > len(body) {
		return nil, fmt.Errorf("the answer's JSON head has %d of %d bytes", jsonLength, len(body))
	}
	var head binaryHead
	if err := json.Unmarshal(body[:jsonLength], &head); err != nil {
		return nil, err
	}
	at := jsonLength
	for _, output := range head.Outputs {
		size := output.Parameters.Size
		if size < 0 || at+size > len(body) {
			return nil, fmt.Errorf("output %s has %d bytes, %d are there", output.Name, size, len(body)-at)
		}
		if output.Name == string(c.output) {
			return c.raw(output.Datatype, body[at:at+size])
		}
		at += size
	}
	return nil, fmt.Errorf("there is no output %s in %.300s", c.output, body[:jsonLength])
}

func (c *Checker) raw(datatype string, content []byte) ([]float64, error) {
	switch datatype {
	case "FP32":
		for ; len(content) >= 4; content = content[4:] {
			c.numbers = append(c.numbers, float64(math.Float32frombits(binary.LittleEndian.Uint32(content))))
		}
	case "FP64":
		for ; len(content) >= 8; content = content[8:] {
			c.numbers = append(c.numbers, math.Float64frombits(binary.LittleEndian.Uint64(content)))
		}
	case "INT64":
		for ; len(content) >= 8; content = content[8:] {
			c.numbers = append(c.numbers, float64(int64(binary.LittleEndian.Uint64(content))))
		}
	default:
		return nil, fmt.Errorf("output %s is %s, which is not compared here", c.output, datatype)
	}
	return c.numbers, nil
}
