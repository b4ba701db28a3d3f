"""Go's own ``encoding/json``, ``net/url`` and ``net/http`` as a witness: a program with types made from the tables.

It reads one line a question, ``OPERATION BASE64``, and answers with one line: the document as Go understood it, in Go's
JSON, or ``error`` and why; ``query`` and ``http`` are read as such. Documents are pointers, but in lists and maps only
where the tables say so, as in moby; the body is read as moby reads one: the first value, then nothing but a closing
bracket.
"""

import base64
import json
import subprocess
from pathlib import Path

from tidegate.spec.requests import tables
from tidegate.spec.requests.types import Listed, Mapped, Named, Nullable, Scalar, Type, Words

_HEAD = """package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
)

type words []string

func (w *words) UnmarshalJSON(data []byte) error {
	list := make([]string, 0, 1)
	if err := json.Unmarshal(data, &list); err != nil {
		var one string
		if err := json.Unmarshal(data, &one); err != nil {
			return err
		}
		list = append(list, one)
	}
	*w = list
	return nil
}

func read(data []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if decoder.More() {
		return errors.New("unexpected content after JSON")
	}
	return nil
}

func answer(name string, data []byte) (any, error) {
	if name == "query" {
		return url.ParseQuery(string(data))
	}
	if name == "http" {
		return requests(data), nil
	}
	into := target(name)
	err := read(data, into)
	return into, err
}

func requests(data []byte) [][]string {
	found := [][]string{}
	wire := bufio.NewReader(bytes.NewReader(data))
	for {
		request, err := http.ReadRequest(wire)
		if err != nil {
			return found
		}
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return found
		}
		found = append(found, []string{request.Method, request.RequestURI, string(body)})
	}
}

func main() {
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := lines.ReadString('\\n')
		if err != nil {
			return
		}
		name, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			panic(err)
		}
		found, err := answer(name, data)
		if err != nil {
			fmt.Printf("error %q\\n", err.Error())
			continue
		}
		out, err := json.Marshal(found)
		if err != nil {
			panic(err)
		}
		os.Stdout.Write(append(out, '\\n'))
	}
}
"""
_SCALARS = {"string": "string", "bool": "bool", "float64": "float64"}


class GoReader:
    """The running program."""

    def __init__(self, directory: Path) -> None:
        """Raises CalledProcessError when Go does not compile it."""
        source = directory / "main.go"
        source.write_text(program())
        binary = directory / "reader"
        environment = {"PATH": "/usr/bin:/bin:/usr/local/go/bin", "HOME": str(directory), "GO111MODULE": "off"}
        subprocess.run(["go", "build", "-o", binary, source], check=True, env=environment, timeout=300)
        self._process = subprocess.Popen([binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def read(self, operation_id: str, data: bytes) -> object:
        """What Go understood, without what is zero; ValueError with Go's words when it refuses."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(operation_id.encode() + b" " + base64.b64encode(data) + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if line.startswith(b"error "):
            raise ValueError(line.removeprefix(b"error ").decode())
        return json.loads(line)

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(10)


def program() -> str:
    """The Go source."""
    names = sorted(tables.document_names())
    cases = [f'\tcase "{name}":\n\t\treturn new({_root(name)})\n' for name in sorted(tables.body_operations())]
    switch = "func target(name string) any {\n\tswitch name {\n" + "".join(cases) + "\t}\n\tpanic(name)\n}\n"
    return "\n".join([_HEAD, switch, *(_struct(name) for name in names)])


def _root(operation_id: str) -> str:
    kind = tables.body_type(operation_id)
    assert kind is not None
    return _identifier(kind.name) if isinstance(kind, Named) else _go(kind)


def _struct(name: str) -> str:
    fields = [
        f'\tF{place} {_go(field.type)} `json:"{field.name},omitempty"`\n'
        for place, field in enumerate(tables.document(name).fields.values())
    ]
    return f"type {_identifier(name)} struct {{\n{''.join(fields)}}}\n"


def _identifier(name: str) -> str:
    return "D" + name.replace(".", "_")


def _go(kind: Type) -> str:
    match kind:
        case Scalar(name):
            return _SCALARS.get(name, name)
        case Words():
            return "words"
        case Listed(item, length):
            return f"[{length or ''}]{_go(item).removeprefix('*')}"
        case Mapped(value):
            return f"map[string]{_go(value).removeprefix('*')}"
        case Nullable(inner):
            return f"**{_go(inner).removeprefix('*')}"
        case Named(name):
            return f"*{_identifier(name)}"
    raise TypeError(f"{kind!r} is not in a document")
