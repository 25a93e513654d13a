package main

import (
	"fmt"
	"syscall"
	"time"
)

// turn handles one connection that epoll names.
func (c *clients) turn(index int, events uint32) {
	one := &c.all[index]
	if one.socket < 0 {
		return
	}
	if events&syscall.EPOLLOUT != 0 && len(one.unsent) > 0 {
		c.write(index)
		if one.socket < 0 {
			return
		}
	}
	if events&(syscall.EPOLLIN|syscall.EPOLLHUP|syscall.EPOLLERR) != 0 {
		c.read(index)
	}
}

func (c *clients) read(index int) {
	one := &c.all[index]
	for {
		if len(one.received) == cap(one.received) {
			one.received = append(one.received, make([]byte, cap(one.received))...)[:len(one.received)]
		}
		count, err := syscall.Read(one.socket, one.received[len(one.received):cap(one.received)])
		if err == syscall.EAGAIN {
			return
		}
		if err != nil || count == 0 {
			c.lost(index, "connection ended", fmt.Sprint(err))
			return
		}
		one.received = one.received[:len(one.received)+count]
		if c.begun {
			c.report.BytesIn += uint64(count)
		}
		switch err := parseResponse(one.received, &c.response); err {
		case nil:
			c.answered(index)
			return
		case errIncomplete:
			if len(one.received) < cap(one.received) {
				return // level-triggered: epoll names it again
			}
		default:
			c.lost(index, "no HTTP", err.Error())
			return
		}
	}
}

func (c *clients) answered(index int) {
	now := time.Now()
	one, response := &c.all[index], &c.response
	if !one.busy || response.size != len(one.received) {
		c.lost(index, "more than one answer", string(one.received))
		return
	}
	one.busy = false
	if kind, wrong := c.judge(one, response); wrong != "" {
		if one.counted {
			c.report.fail(kind, wrong, one.intended, one.sent, now)
		}
	} else if one.counted {
		one.answers++
		c.report.answered(c.report.group(response.version, response.fallback), one.intended, one.sent, now)
	} else if !c.begun {
		c.report.Count++ // of the warm-up
	}
	closes := response.close
	one.received = one.received[:0]
	if closes {
		c.report.Reconnects++
		c.drop(index, now)
		return
	}
	c.idle = append(c.idle, index)
}

// judge names the kind of failure and what is wrong; empty: nothing.
func (c *clients) judge(one *connection, response *Response) (kind, wrong string) {
	if response.status != 200 {
		return fmt.Sprintf("status %d", response.status), string(response.body) + " "
	}
	wrong, checked := c.checker.wrong(&c.asked[one.asked], &response.Answer)
	if checked && one.counted {
		c.report.Checked++
	}
	return "wrong answer", wrong
}

// lost counts what was under way as failed and connects anew. A quiet connection may be closed by the server.
func (c *clients) lost(index int, kind, example string) {
	one, now := &c.all[index], time.Now()
	if one.busy && one.counted {
		c.report.fail(kind, example+" ", one.intended, one.sent, now)
	}
	if !one.busy {
		for place, other := range c.idle {
			if other == index {
				c.idle = append(c.idle[:place:place], c.idle[place+1:]...)
				break
			}
		}
	}
	c.report.Reconnects++
	c.drop(index, now)
}

func (c *clients) drop(index int, now time.Time) {
	one := &c.all[index]
	syscall.Close(one.socket)
	one.socket, one.busy, one.received, one.unsent = -1, false, one.received[:0], nil
	if c.connect(index) != nil {
		one.retryAt = now.Add(reconnectPause)
	}
}

// lookAfter ends requests that take too long and connects again what is not connected.
func (c *clients) lookAfter(now time.Time) {
	limit := time.Duration(c.settings.Timeout * float64(time.Second))
	for index := range c.all {
		one := &c.all[index]
		switch {
		case one.socket < 0 && now.After(one.retryAt) && now.Before(c.end):
			if c.connect(index) != nil {
				one.retryAt = now.Add(reconnectPause)
			}
		case one.busy && now.Sub(one.sent) > limit:
			c.lost(index, "timeout", fmt.Sprintf("no answer within %v", limit))
		}
	}
}
