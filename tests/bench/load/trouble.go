package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"time"
)

// serveTrouble is a challenger that fails in the ways in which challengers fail, each for Turn seconds, in turns:
//
//	hang     takes the connection, reads, never answers
//	crash    resets every connection, and nothing listens
//	garbage  answers what is no answer: noise, wrong shapes, another version, half a body
func serveTrouble(decoder *json.Decoder) error {
	var settings struct {
		Listen string   `json:"listen"`
		Modes  []string `json:"modes"`
		Turn   float64  `json:"turn"` // seconds; 0: the first mode for ever
	}
	if err := decoder.Decode(&settings); err != nil {
		return err
	}
	turns := map[string]func(string, time.Duration) error{"hang": hang, "crash": crash, "garbage": garbage}
	turn := time.Duration(settings.Turn * float64(time.Second))
	for number := 0; ; number++ {
		mode := settings.Modes[number%len(settings.Modes)]
		behave, known := turns[mode]
		if !known {
			return fmt.Errorf("there is no mode %q; there are hang, crash and garbage", mode)
		}
		fmt.Fprintln(os.Stderr, "trouble:", mode)
		if err := behave(settings.Listen, turn); err != nil {
			return err
		}
	}
}

func crash(_ string, turn time.Duration) error {
	time.Sleep(turn)
	return nil
}

func hang(address string, turn time.Duration) error {
	return listen(address, turn, func(net.Conn) { select {} })
}

func garbage(address string, turn time.Duration) error {
	return listen(address, turn, func(connection net.Conn) {
		reader := bufio.NewReader(connection)
		for {
			if _, err := reader.ReadSlice('\n'); err != nil {
				return
			}
			reader.Discard(reader.Buffered())
			if _, err := connection.Write(nonsense()); err != nil {
				return
			}
		}
	})
}

func nonsense() []byte {
	head := func(length int) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\npodium-version: other\r\ncontent-length: %d\r\n\r\n", length)
	}
	bodies := []string{
		`{"model_name":"x","outputs":[{"name":"probabilities","datatype":"FP32","shape":[1,2],"data":[9e99,null]}]}`,
		`{"outputs":[]}`, `[[[[[[[`, "",
	}
	body := bodies[rand.IntN(len(bodies))]
	switch rand.IntN(4) {
	case 0:
		return []byte("\x00\xff\x13not HTTP at all\r\n\r\n")
	case 1:
		return []byte(head(len(body)+1000) + body)
	case 2:
		return []byte("HTTP/1.1 500 Oh\r\ncontent-length: 2\r\n\r\nno")
	}
	return []byte(head(len(body)) + body)
}

// listen serves each connection by talk until the turn ends, then resets all of them. turn 0: for ever.
func listen(address string, turn time.Duration, talk func(net.Conn)) error {
	listener, err := net.Listen("tcp4", address)
	if err != nil {
		return err
	}
	var open []net.Conn
	if turn > 0 {
		_ = listener.(*net.TCPListener).SetDeadline(time.Now().Add(turn))
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			break
		}
		open = append(open, connection)
		go talk(connection)
	}
	listener.Close()
	for _, connection := range open {
		_ = connection.(*net.TCPConn).SetLinger(0)
		connection.Close()
	}
	return nil
}
