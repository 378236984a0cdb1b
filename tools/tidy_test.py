#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tidy.py must find what it is for: each case is a small tree with one breach."""
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from tidy import Tidy  # noqa: E402

HEAD = "/* SPDX-License-Identifier: Apache-2.0 */\n"
SOUND = {
    "src/base/bits.h": HEAD,
    "src/heap/heap.h": HEAD + '#include "base/bits.h"\n#include <pthread.h>\n',
    "src/heap/heap.c": HEAD + '#include "heap/heap.h"\n',
    "src/os/map.c": HEAD + "#include <sys/mman.h>\n",
    "src/ring/ring.h": HEAD,
    "src/skep.c": HEAD + '#include "heap/heap.h"\n',
    "src/sources.txt": "# core\nsrc/heap/heap.c\nsrc/os/map.c # the door\nsrc/skep.c\n",
    "include/skep/skep.h": HEAD + "#include <skep/hive.h>\n",
    "include/skep/hive.h": HEAD,
    "cli/main.c": HEAD + '#include <skep/skep.h>\n#include "verbs.h"\n',
    "cli/verbs.h": HEAD,
}


def breaches(**changed):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        for name, text in {**SOUND, **changed}.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return Tidy(root).run()


class TidyTest(unittest.TestCase):
    def assert_breach(self, text, path, content):
        found = breaches(**{path: content})
        self.assertTrue(any(text in line and line.startswith(path) for line in found), found)

    def test_sound_tree(self):
        self.assertEqual(breaches(), [])

    def test_upward_arrow(self):
        self.assert_breach("does not point downwards", "src/base/bits.h", HEAD + '#include "heap/heap.h"\n')

    def test_arrow_to_the_same_floor(self):
        self.assert_breach("does not point downwards", "src/ring/ring.h", HEAD + '#include "heap/heap.h"\n')

    def test_arrow_to_the_top(self):
        self.assert_breach("does not point downwards", "src/heap/heap.h", HEAD + '#include "skep.c"\n')

    def test_arrow_in_a_comment_is_none(self):
        self.assertEqual(breaches(**{"src/base/bits.h": HEAD + '/*\n#include "heap/heap.h"\n*/\n'}), [])

    def test_tests_may_look_anywhere(self):
        self.assertEqual(breaches(**{"src/base/bits_test.c": HEAD + '#include "heap/heap.h"\n#include <unistd.h>\n'}), [])

    def test_unknown_room(self):
        self.assert_breach("no floor", "src/attic/box.h", HEAD)

    def test_path_not_from_src(self):
        self.assert_breach("write the path from src/", "src/heap/heap.h", HEAD + '#include "heap_private.h"\n')

    def test_atomics(self):
        self.assert_breach(":2: __atomic_", "src/heap/heap.h", HEAD + "int f(int *p) { return __atomic_load_n(p, 0); }\n")
        self.assert_breach("stdatomic.h", "src/heap/heap.h", HEAD + "#include <stdatomic.h>\n")
        self.assertEqual(breaches(**{"src/base/atomic.h": HEAD + "#include <stdatomic.h>\n"}), [])

    def test_system_calls(self):
        for name in ("unistd.h", "sys/mman.h", "linux/futex.h", "signal.h"):
            self.assert_breach("only in src/os/", "src/heap/heap.h", HEAD + f"#include <{name}>\n")

    def test_outside_sees_public_headers_only(self):
        self.assert_breach("<skep/...> only", "cli/main.c", HEAD + '#include "heap/heap.h"\n')
        self.assert_breach("leaves cli/", "cli/main.c", HEAD + '#include "../src/heap/heap.h"\n')
        self.assert_breach("no public header", "cli/main.c", HEAD + "#include <skep/secret.h>\n")

    def test_lists(self):
        self.assert_breach("not in src/sources.txt", "src/ring/ring.c", HEAD)
        self.assert_breach("does not exist", "src/sources.txt", SOUND["src/sources.txt"] + "src/gone.c\n")
        self.assert_breach("listed twice", "src/sources.txt", SOUND["src/sources.txt"] + "src/skep.c\n")
        self.assert_breach("not included by skep.h", "include/skep/dict.h", HEAD)

    def test_text(self):
        self.assert_breach("SPDX", "src/ring/ring.h", "int ring;\n")
        self.assert_breach("161 columns", "src/ring/ring.h", HEAD + "/" * 161 + "\n")
        self.assert_breach("white space", "src/ring/ring.h", HEAD + "int ring; \n")


if __name__ == "__main__":
    unittest.main()
