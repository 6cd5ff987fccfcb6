package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

// descriptions are the vendor's descriptions, each read when it is first asked for.
type descriptions struct {
	folder   string
	products map[string]*description
}

// description is one product's: what each action gives, and what is in each structure.
type description struct {
	Actions map[string]struct{ Output string }
	Objects map[string]struct{ Members []member }
}

// member is one field. Inner is the type of a scalar or of the entries of a list, or the name of a structure.
type member struct {
	Name  string
	Type  string
	Inner string `json:"member"`
}

// answerOf makes a pointer to an empty structure for the answer of an action.
func (d *descriptions) answerOf(product, version, action string) (interface{}, error) {
	described, err := d.product(product, version)
	if err != nil {
		return nil, err
	}
	named, there := described.Actions[action]
	if !there {
		return nil, fmt.Errorf("the description of %s has no %s", product, action)
	}
	shape, err := described.structure(named.Output)
	if err != nil {
		return nil, err
	}
	return reflect.New(shape).Interface(), nil
}

func (d *descriptions) product(product, version string) (*description, error) {
	if known, there := d.products[product]; there {
		return known, nil
	}
	file := filepath.Join(d.folder, product, "v"+strings.ReplaceAll(version, "-", ""), "api.json")
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	read := &description{}
	if err := json.Unmarshal(text, read); err != nil {
		return nil, err
	}
	d.products[product] = read
	return read, nil
}

func (d *description) structure(name string) (reflect.Type, error) {
	var fields []reflect.StructField
	for _, one := range d.Objects[name].Members {
		kind, err := d.kind(one)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", name, one.Name, err)
		}
		label := reflect.StructTag(fmt.Sprintf("json:%q", one.Name))
		fields = append(fields, reflect.StructField{Name: one.Name, Type: kind, Tag: label})
	}
	return reflect.StructOf(fields), nil
}

// kind is the type that the vendor's generator gives a field: a pointer, so that null is told from zero.
func (d *description) kind(one member) (reflect.Type, error) {
	inner, err := d.inner(one.Inner)
	if err != nil {
		return nil, err
	}
	pointer := reflect.PtrTo(inner)
	if one.Type == "list" {
		return reflect.SliceOf(pointer), nil
	}
	return pointer, nil
}

func (d *description) inner(name string) (reflect.Type, error) {
	switch name {
	case "string", "datetime", "datetime_iso", "date":
		return reflect.TypeOf(""), nil
	case "int64":
		return reflect.TypeOf(int64(0)), nil
	case "uint64":
		return reflect.TypeOf(uint64(0)), nil
	case "float":
		return reflect.TypeOf(float64(0)), nil
	case "bool":
		return reflect.TypeOf(false), nil
	}
	if _, there := d.Objects[name]; !there {
		return nil, fmt.Errorf("no structure `%s`", name)
	}
	return d.structure(name)
}
