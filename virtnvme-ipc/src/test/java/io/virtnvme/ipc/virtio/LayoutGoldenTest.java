package io.virtnvme.ipc.virtio;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

/** The layouts are the specification's: a change here is a mistake. */
class LayoutGoldenTest {
  @Test
  void shouldKeepTheLayoutOfSplitRings() {
    assertEquals(
        """
        virtq_desc
             0   8  addr
             8   4  len
            12   2  flags
            14   2  next
            16      end
        """,
        SplitDescriptor.describe());
    assertEquals(
        """
        virtq_avail, queue size 4
             0   2  flags
             2   2  idx
             4   8  ring
            12   2  used_event
            14      end
        """,
        AvailRing.describe());
    assertEquals(
        """
        virtq_used, queue size 4
             0   2  flags
             2   2  idx
             4   4  ring[0].id
             8   4  ring[0].len
            12  24  ring[1..]
            36   2  avail_event
            38      end
        """,
        UsedRing.describe());
  }

  @Test
  void shouldKeepTheLayoutOfPackedRings() {
    assertEquals(
        """
        pvirtq_desc
             0   8  addr
             8   4  len
            12   2  id
            14   2  flags
            16      end
        """,
        PackedDescriptor.describe());
    assertEquals(
        """
        pvirtq_event_suppress
             0   2  desc
             2   2  flags
             4      end
        """,
        EventSuppression.describe());
  }

  @Test
  void shouldKeepTheLayoutOfBlockRequests() {
    assertEquals(
        """
        virtio_blk_req header
             0   4  type
             4   4  reserved
             8   8  sector
            16      end
        """,
        BlkRequest.describe());
    assertEquals(
        """
        virtio_blk_discard_write_zeroes
             0   8  sector
             8   4  num_sectors
            12   4  flags
            16      end
        """,
        BlkRange.describe());
  }

  @Test
  void shouldKeepTheLayoutOfTheConfigurationSpace() {
    assertEquals(
        """
        virtio_blk_config
             0   8  capacity
             8   4  size_max
            12   4  seg_max
            16   2  geometry.cylinders
            18   1  geometry.heads
            19   1  geometry.sectors
            20   4  blk_size
            24   1  topology.physical_block_exp
            25   1  topology.alignment_offset
            26   2  topology.min_io_size
            28   4  topology.opt_io_size
            32   1  writeback
            33   1  unused0
            34   2  num_queues
            36   4  max_discard_sectors
            40   4  max_discard_seg
            44   4  discard_sector_alignment
            48   4  max_write_zeroes_sectors
            52   4  max_write_zeroes_seg
            56   1  write_zeroes_may_unmap
            57   3  unused1
            60      end
        """,
        BlkConfig.describe());
  }
}
