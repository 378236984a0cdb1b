# SPDX-License-Identifier: Apache-2.0
"""skep.process is multiprocessing.process itself: there is one state of it in a process."""
import sys

import multiprocessing.process

sys.modules[__name__] = multiprocessing.process
