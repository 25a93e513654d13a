package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

var errProtobuf = errors.New("the answer is no ModelInferResponse")

// Numbers of the fields of inference.ModelInferResponse and what is in it (the Open Inference Protocol's grpc_predict_v2).
const (
	fieldVersion    = 2
	fieldOutputs    = 5
	fieldRaw        = 6
	fieldName       = 1
	fieldDatatype   = 2
	fieldContents   = 5
	fieldInt64s     = 3
	fieldFP32s      = 6
	fieldFP64s      = 7
	wireVarint      = 0
	wireFixed64     = 1
	wireLengthBound = 2
	wireFixed32     = 5
)

// fields calls each for every field of a message with its number and, for those that have one, its content.
func fields(message []byte, each func(number int, content []byte)) error {
	for len(message) > 0 {
		key, size := binary.Uvarint(message)
		if size <= 0 {
			return errProtobuf
		}
		message = message[size:]
		length := uint64(0)
		switch key & 7 {
		case wireVarint:
			if _, size = binary.Uvarint(message); size <= 0 {
				return errProtobuf
			}
			message = message[size:]
			continue
		case wireFixed64:
			length = 8
		case wireFixed32:
			length = 4
		case wireLengthBound:
			if length, size = binary.Uvarint(message); size <= 0 {
				return errProtobuf
			}
			message = message[size:]
		default:
			return errProtobuf
		}
		if length > uint64(len(message)) {
			return errProtobuf
		}
		each(int(key>>3), message[:length])
		message = message[length:]
	}
	return nil
}

func versionOf(message []byte) (version []byte, err error) {
	err = fields(message, func(number int, content []byte) {
		if number == fieldVersion {
			version = content
		}
	})
	return version, err
}

// readGRPC finds the output among typed contents or, by its place, among raw contents.
func (c *Checker) readGRPC(message []byte) ([]float64, error) {
	var datatype string
	var typed, raw []byte
	place, seen, rawSeen := -1, 0, 0
	err := fields(message, func(number int, content []byte) {
		switch number {
		case fieldOutputs:
			if name, kind, contents := outputOf(content); string(name) == string(c.output) {
				place, datatype, typed = seen, string(kind), contents
			}
			seen++
		case fieldRaw:
			if rawSeen == place {
				raw = content
			}
			rawSeen++
		}
	})
	if err != nil {
		return nil, err
	}
	if place < 0 {
		return nil, fmt.Errorf("there is no output %s in the answer", c.output)
	}
	if raw != nil {
		return c.raw(datatype, raw)
	}
	return c.typed(typed)
}

func outputOf(tensor []byte) (name, datatype, contents []byte) {
	_ = fields(tensor, func(number int, content []byte) {
		switch number {
		case fieldName:
			name = content
		case fieldDatatype:
			datatype = content
		case fieldContents:
			contents = content
		}
	})
	return name, datatype, contents
}

func (c *Checker) typed(contents []byte) ([]float64, error) {
	err := fields(contents, func(number int, packed []byte) {
		switch number {
		case fieldFP32s:
			for ; len(packed) >= 4; packed = packed[4:] {
				c.numbers = append(c.numbers, float64(math.Float32frombits(binary.LittleEndian.Uint32(packed))))
			}
		case fieldFP64s:
			for ; len(packed) >= 8; packed = packed[8:] {
				c.numbers = append(c.numbers, math.Float64frombits(binary.LittleEndian.Uint64(packed)))
			}
		case fieldInt64s:
			for len(packed) > 0 {
				value, size := binary.Uvarint(packed)
				if size <= 0 {
					return
				}
				c.numbers = append(c.numbers, float64(int64(value)))
				packed = packed[size:]
			}
		}
	})
	return c.numbers, err
}
