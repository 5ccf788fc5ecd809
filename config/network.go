package config

import (
	"fmt"
	"net"
	"net/netip"
)

// Network is a range of addresses, written as 10.0.0.0/8, or as one address.
type Network struct{ netip.Prefix }

// UnmarshalText is part of [encoding.TextUnmarshaler].
func (n *Network) UnmarshalText(text []byte) error {
	if one, err := netip.ParseAddr(string(text)); err == nil && one.Zone() == "" {
		n.Prefix = netip.PrefixFrom(one, one.BitLen())
		return nil
	}
	p, err := netip.ParsePrefix(string(text))
	if err != nil {
		return fmt.Errorf("must be an address or a network such as 10.0.0.0/8, not %q", text)
	}
	n.Prefix = p.Masked()
	return nil
}

// IPNet is the same as package net has it.
func (n Network) IPNet() *net.IPNet {
	return &net.IPNet{IP: n.Addr().AsSlice(), Mask: net.CIDRMask(n.Bits(), n.Addr().BitLen())}
}
