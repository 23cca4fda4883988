package io.virtnvme.ipc.qpair;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class QpairLayoutTest {
  @Test
  void shouldKeepTheLayoutThatClientsOfOtherBuildsKnow() {
    assertEquals(
        """
        VirtNvme queue pair segment, version 1
            64   4  entry_count
            68   4  block_bytes
            72   8  block_count
            80   8  pool_offset
            88   8  pool_length
            96   4  read_only
           128   4  sq_tail
           132   4  cq_head
           136   4  client_sleeps
           192   4  slave_sleeps
          4096      end
        """,
        QpairSegment.describe());
    assertEquals(
        """
        VirtNvme request
             0   1  opcode
             1   1  flags
             2   2  id
             4   4  block_count
             8   8  first_block
            16   8  buffer
            24  40  spare
            64      end
        """,
        QpairRequest.describe());
    assertEquals(
        """
        VirtNvme attach message, version 1
             0   4  magic
             4   4  length
             8   2  version
            10   2  type
            12   4  status
            16   4  entry_count
            20   4  access
            24   8  pool_length
            32      end
        """,
        QpairMessage.describe());
  }

  @Test
  void shouldPlaceQueuesAndPoolOnPages() {
    assertEquals(4096 + 64 * 64, QpairSegment.completionsOffset(64));
    assertEquals(4096 + 4096 + 4096, QpairSegment.poolOffset(64));
    assertEquals(4096 + 65536 + 16384 + 8192, QpairSegment.length(1024, 8192));
  }

  @Test
  void shouldAllowWhatTheLimitsSayOnly() {
    assertTrue(QpairSegment.isAllowed(2, 4096));
    assertTrue(QpairSegment.isAllowed(1024, 64L << 20));
    assertFalse(QpairSegment.isAllowed(1, 4096));
    assertFalse(QpairSegment.isAllowed(1025, 4096));
    assertFalse(QpairSegment.isAllowed(-1, 4096));
    assertFalse(QpairSegment.isAllowed(64, 0));
    assertFalse(QpairSegment.isAllowed(64, 4097));
    assertFalse(QpairSegment.isAllowed(64, (64L << 20) + 4096));
    assertFalse(QpairSegment.isAllowed(64, -4096));
  }
}
