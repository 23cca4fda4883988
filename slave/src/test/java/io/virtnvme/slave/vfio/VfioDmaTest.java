package io.virtnvme.slave.vfio;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.LittleEndian;
import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Mapping;
import io.virtnvme.ipc.vfiouser.DmaMap;
import io.virtnvme.ipc.vfiouser.DmaUnmap;
import io.virtnvme.ipc.vfiouser.VfioUserCommand;
import io.virtnvme.ipc.vfiouser.VfioUserMessage;
import java.util.List;
import org.junit.jupiter.api.Test;

/** DMA_MAP and DMA_UNMAP: what the device may reach. */
class VfioDmaTest extends VfioSessionCase {
  @Test
  void shouldMapARegionWithADescriptorAndRememberOneWithout() {
    fixture.negotiate();
    fixture.ask(fixture.map(0x1000_0000L, MIB, MIB, READ_WRITE), memory);
    fixture.ask(fixture.map(0x2000_0000L, MIB, 0, DmaMap.READ_FLAG), memory);
    fixture.ask(fixture.map(0x3000_0000L, MIB, 0, READ_WRITE));
    final long host = fixture.devices.writable.translate(0x1000_0000L, MIB);
    assertNotEquals(0, host);
    Mem.putInt(host + 8, 0x1234);
    final Mapping other = Mapping.map(memory, MIB, MIB);
    assertEquals(0x1234, Mem.getInt(other.address() + 8));
    other.close();
    assertNotEquals(0, fixture.devices.readable.translate(0x2000_0000L, MIB));
    assertEquals(0, fixture.devices.writable.translate(0x2000_0000L, 1), "read-only");
    assertEquals(0, fixture.devices.readable.translate(0x3000_0000L, 1), "not mapped");
    // The one without a descriptor takes room among the addresses all the same.
    fixture.refused(Errno.EEXIST, fixture.map(0x3000_0000L + MIB - 1, 4096, 0, READ_WRITE), memory);
  }

  @Test
  void shouldRefuseRegionsThatCannotBe() {
    fixture.negotiate();
    fixture.ask(fixture.map(0x10_0000, MIB, 0, READ_WRITE), memory);
    fixture.refused(Errno.EEXIST, fixture.map(0x10_0000, MIB, 0, READ_WRITE), memory);
    fixture.refused(Errno.EEXIST, fixture.map(0x18_0000, 4096, 0, READ_WRITE), memory);
    fixture.refused(Errno.EEXIST, fixture.map(0, 0x10_0001, 0, READ_WRITE), memory);
    fixture.refused(Errno.EEXIST, fixture.map(0, Long.MAX_VALUE, 0, READ_WRITE));
    fixture.refused(Errno.EINVAL, fixture.map(0x40_0000, 0, 0, READ_WRITE), memory);
    fixture.refused(Errno.EINVAL, fixture.map(0x40_0000, -1, 0, READ_WRITE), memory);
    fixture.refused(Errno.EINVAL, fixture.map(-4096, 8192, 0, READ_WRITE), memory);
    fixture.refused(Errno.EINVAL, fixture.map(0x40_0000, MIB, -4096, READ_WRITE), memory);
    fixture.refused(Errno.EINVAL, fixture.map(0x40_0000, MIB, Long.MAX_VALUE, READ_WRITE), memory);
    fixture.refused(Errno.EINVAL, fixture.map(0x40_0000, 2 * MIB, 3 * MIB, READ_WRITE), memory);
    fixture.refused(Errno.EINVAL, fixture.map(0x40_0000, MIB, 0, 0), memory);
    fixture.refused(Errno.EINVAL, fixture.map(0x40_0000, MIB, 0, 0x80), memory);
    fixture.refused(Errno.EINVAL, fixture.map(0x40_0000, MIB, 0, READ_WRITE), memory, memory);
    fixture.refused(Errno.EINVAL, fixture.map(0x40_0000, MIB, 0, READ_WRITE | DmaMap.MMAP_FLAG));
    fixture.refused(Errno.EINVAL, fixture.command(VfioUserCommand.DMA_MAP, DmaMap.LENGTH - 1));
    final byte[] small = fixture.map(0x40_0000, MIB, 0, READ_WRITE);
    LittleEndian.putInt(small, VfioUserMessage.PAYLOAD_OFFSET, 31);
    fixture.refused(Errno.EINVAL, small, memory);
    final int event = EventFd.create();
    fixture.refused(Errno.EINVAL, fixture.map(0x40_0000, MIB, 0, READ_WRITE), event);
    Fds.close(event);
    fixture.ask(fixture.map(-4096, 4096, 0, READ_WRITE));
  }

  @Test
  void shouldRefuseMoreRegionsThanItHasSlotsFor() {
    fixture.negotiate();
    for (int i = 0; i < VfioSlots.REGION_COUNT_MAX; i++) {
      fixture.ask(fixture.map(i * 0x10_0000L, 4096, i * 4096L, READ_WRITE), memory);
    }
    fixture.refused(Errno.ENOSPC, fixture.map(0x4000_0000L, 4096, 0, READ_WRITE), memory);
    for (int i = VfioSlots.REGION_COUNT_MAX; i < VfioMessages.REGION_COUNT_MAX; i++) {
      fixture.ask(fixture.map(i * 0x10_0000L, 4096, 0, READ_WRITE));
    }
    fixture.refused(Errno.ENOSPC, fixture.map(0x4000_0000L, 4096, 0, READ_WRITE));
    fixture.ask(fixture.unmap(0x10_0000L, 4096, 0));
    fixture.ask(fixture.map(0x4000_0000L, 4096, 0, READ_WRITE), memory);
  }

  @Test
  void shouldUnmapOnlyWhatWasMappedAndAnswerWithIt() {
    fixture.negotiate();
    fixture.ask(fixture.map(0x10_0000, MIB, 0, READ_WRITE), memory);
    fixture.ask(fixture.map(0x40_0000, MIB, 0, READ_WRITE));
    fixture.refused(Errno.ENOENT, fixture.unmap(0x10_0000, MIB - 4096, 0));
    fixture.refused(Errno.ENOENT, fixture.unmap(0x10_1000, MIB, 0));
    fixture.refused(Errno.EOPNOTSUPP, fixture.unmap(0x10_0000, MIB, DmaUnmap.DIRTY_BITMAP_FLAG));
    fixture.refused(Errno.EINVAL, fixture.unmap(0x10_0000, MIB, 4));
    fixture.refused(Errno.EINVAL, fixture.unmap(0x10_0000, 0, DmaUnmap.ALL_FLAG));
    fixture.refused(Errno.EINVAL, fixture.unmap(0, MIB, 0), memory);
    final byte[] reply = fixture.ask(fixture.unmap(0x10_0000, MIB, 0));
    assertEquals(DmaUnmap.LENGTH, VfioUserMessage.payloadLength(reply));
    assertEquals(0x10_0000, DmaUnmap.address(reply));
    assertEquals(MIB, DmaUnmap.size(reply));
    assertEquals(0, fixture.devices.readable.translate(0x10_0000, 1));
    fixture.ask(fixture.map(0x10_0000, MIB, 0, READ_WRITE), memory);
    fixture.ask(fixture.unmap(0, 0, DmaUnmap.ALL_FLAG));
    assertTrue(fixture.devices.readable.regions().isEmpty());
    assertEquals(
        List.of(VfioSlots.DOORBELLS, VfioSlots.AREA), List.copyOf(fixture.masterFds.keySet()));
  }

  @Test
  void shouldNotAnswerAnUnmapBeforeNoRequestUsesTheRange() {
    fixture.negotiate();
    fixture.ask(fixture.map(0x10_0000, MIB, 0, READ_WRITE), memory);
    final long host = fixture.devices.writable.translate(0x10_0000, MIB);
    fixture.devices.wait = true;
    final int before = fixture.answers.size();
    fixture.post(fixture.unmap(0x10_0000, MIB, 0));
    assertEquals(before, fixture.answers.size());
    // Still mapped: a reactor may be storing to it.
    Mem.putInt(host, 1);
    fixture.devices.step();
    assertEquals(before + 1, fixture.answers.size());
  }
}
