# SPDX-License-Identifier: Apache-2.0
"""skep.util is multiprocessing.util itself: there is one state of it in a process."""
import sys

import multiprocessing.util

sys.modules[__name__] = multiprocessing.util
