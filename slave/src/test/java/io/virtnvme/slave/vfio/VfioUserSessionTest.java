package io.virtnvme.slave.vfio;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.LittleEndian;
import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Mapping;
import io.virtnvme.ipc.sys.Memfd;
import io.virtnvme.ipc.vfiouser.DeviceFeature;
import io.virtnvme.ipc.vfiouser.DeviceInfo;
import io.virtnvme.ipc.vfiouser.DmaMap;
import io.virtnvme.ipc.vfiouser.DmaUnmap;
import io.virtnvme.ipc.vfiouser.IrqInfo;
import io.virtnvme.ipc.vfiouser.IrqSet;
import io.virtnvme.ipc.vfiouser.PciIrq;
import io.virtnvme.ipc.vfiouser.PciRegion;
import io.virtnvme.ipc.vfiouser.RegionAccess;
import io.virtnvme.ipc.vfiouser.RegionInfo;
import io.virtnvme.ipc.vfiouser.RegionIoFds;
import io.virtnvme.ipc.vfiouser.RegionWrites;
import io.virtnvme.ipc.vfiouser.SparseMmap;
import io.virtnvme.ipc.vfiouser.VersionCapabilities;
import io.virtnvme.ipc.vfiouser.VersionPayload;
import io.virtnvme.ipc.vfiouser.VfioUserCommand;
import io.virtnvme.ipc.vfiouser.VfioUserMessage;
import io.virtnvme.slave.session.Answer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class VfioUserSessionTest {
  private static final int READ_WRITE = DmaMap.READ_FLAG | DmaMap.WRITE_FLAG;
  private static final int TRIGGER_EVENTS = IrqSet.DATA_EVENTFD_FLAG | IrqSet.ACTION_TRIGGER_FLAG;
  private static final long MIB = 1 << 20;

  @TempDir private Path folder;
  private VfioFixture fixture;
  private int memory;

  @BeforeEach
  void open() {
    fixture = new VfioFixture(folder);
    memory = Memfd.create("guest", 4 * MIB);
  }

  @AfterEach
  void close() {
    fixture.close();
    Fds.close(memory);
  }

  @Test
  void shouldAgreeOnVersionZeroAndNoMoreThanBothTake() {
    final byte[] reply =
        fixture.ask(fixture.version("{\"capabilities\":{\"max_data_xfer_size\":4096}}"));
    assertEquals(0, VersionPayload.major(reply));
    assertEquals(0, VersionPayload.minor(reply));
    final VersionCapabilities agreed = VersionCapabilities.parse(VersionPayload.text(reply));
    assertEquals(4096, agreed.maxDataXferSize());
    assertEquals(16, agreed.maxMsgFds());
    assertFalse(agreed.writeMultiple(), "not offered to who does not know it");
    assertEquals(List.of("format 7", "make area=7", "resume"), fixture.devices.calls);
  }

  @Test
  void shouldPutDoorbellPageAndControllerAreaIntoSlotsWithTheFirstAnswer() {
    fixture.negotiate();
    assertEquals(
        List.of(VfioSlots.DOORBELLS, VfioSlots.AREA), List.copyOf(fixture.masterFds.keySet()));
    for (final int fd : fixture.masterFds.values()) {
      assertTrue((Memfd.seals(fd) & (Memfd.F_SEAL_SHRINK | Memfd.F_SEAL_GROW)) != 0);
    }
    assertEquals(FakeNvmeDevices.AREA_LENGTH, Fds.length(fixture.masterFds.get(VfioSlots.AREA)));
    fixture.refused(Errno.EINVAL, fixture.version(""));
  }

  @Test
  void shouldAnswerAWrongVersionWithAnErrorAndWaitForAnother() {
    final byte[] message = fixture.version("");
    VersionPayload.put(message, 1, 0);
    fixture.refused(Errno.EINVAL, message);
    fixture.refused(Errno.EINVAL, fixture.version("{\"capabilities\":3}"));
    fixture.refused(Errno.EINVAL, fixture.command(VfioUserCommand.VERSION, 3));
    assertTrue(fixture.masterFds.isEmpty());
    fixture.negotiate();
  }

  @Test
  void shouldEndAConnectionThatDoesNotBeginWithVersion() {
    final Answer answer = fixture.send(fixture.map(0, MIB, 0, READ_WRITE), memory);
    assertTrue(answer.close());
    assertTrue(answer.reason().contains("VERSION must come first"), answer::reason);
  }

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

  @Test
  void shouldDescribeAPciDevice() {
    fixture.negotiate();
    final byte[] ask = fixture.command(VfioUserCommand.DEVICE_GET_INFO, DeviceInfo.LENGTH);
    fixture.refused(Errno.EINVAL, ask);
    DeviceInfo.put(ask, DeviceInfo.LENGTH, 0, 0, 0);
    final byte[] reply = fixture.ask(ask);
    assertEquals(DeviceInfo.LENGTH, DeviceInfo.argsz(reply));
    assertEquals(DeviceInfo.RESET_FLAG | DeviceInfo.PCI_FLAG, DeviceInfo.flags(reply));
    assertEquals(9, DeviceInfo.regionCount(reply));
    assertEquals(5, DeviceInfo.irqCount(reply));
  }

  private byte[] regionInfo(final int index, final int argsz) {
    final byte[] message =
        fixture.command(VfioUserCommand.DEVICE_GET_REGION_INFO, RegionInfo.LENGTH);
    RegionInfo.put(message, argsz, 0, index, 0, 0, 0);
    return message;
  }

  @Test
  void shouldGiveTheDoorbellPageToWhoHasRoomForItsDescription() {
    fixture.negotiate();
    final byte[] first = fixture.ask(regionInfo(PciRegion.BAR0, RegionInfo.LENGTH));
    assertEquals(RegionInfo.LENGTH, VfioUserMessage.payloadLength(first));
    assertEquals(RegionInfo.LENGTH + SparseMmap.LENGTH, RegionInfo.argsz(first));
    assertEquals(0, RegionInfo.flags(first) & RegionInfo.CAPS_FLAG);

    final Answer second =
        fixture.send(regionInfo(PciRegion.BAR0, RegionInfo.LENGTH + SparseMmap.LENGTH));
    final byte[] reply = second.reply();
    assertEquals(
        RegionInfo.READ_FLAG | RegionInfo.WRITE_FLAG | RegionInfo.MMAP_FLAG | RegionInfo.CAPS_FLAG,
        RegionInfo.flags(reply));
    assertEquals(0x4000, RegionInfo.size(reply));
    assertEquals(RegionInfo.LENGTH, RegionInfo.capOffset(reply));
    assertEquals(SparseMmap.ID, SparseMmap.id(reply, RegionInfo.LENGTH));
    assertEquals(1, SparseMmap.areaCount(reply, RegionInfo.LENGTH));
    assertEquals(0x1000, SparseMmap.areaOffset(reply, RegionInfo.LENGTH));
    assertEquals(0x1000, SparseMmap.areaSize(reply, RegionInfo.LENGTH));
    assertEquals(1, second.replyFds().length);
    assertTrue(Fds.isSameFile(second.replyFds()[0], fixture.masterFds.get(VfioSlots.DOORBELLS)));
    final Mapping page = Mapping.map(second.replyFds()[0], 0x1000, 0x1000);
    Mem.putInt(page.address() + 8, 77);
    assertEquals(77, Mem.getInt(fixture.devices.made.doorbellsAddress() + 8));
    page.close();
  }

  @Test
  void shouldKeepTheDoorbellPageToItselfWhenItIsNotMappable() {
    fixture.close();
    fixture = new VfioFixture(folder, VfioFixture.description(false));
    fixture.negotiate();
    final Answer answer = fixture.send(regionInfo(PciRegion.BAR0, 1024));
    assertEquals(RegionInfo.LENGTH, RegionInfo.argsz(answer.reply()));
    assertEquals(RegionInfo.READ_FLAG | RegionInfo.WRITE_FLAG, RegionInfo.flags(answer.reply()));
    assertEquals(0, answer.replyFds().length);
  }

  @Test
  void shouldSayHowLongEachRegionIs() {
    fixture.negotiate();
    final long[] lengths = {0x4000, 0, 0, 0, 0x2000, 0, 0, 4096, 0};
    for (int i = 0; i < lengths.length; i++) {
      assertEquals(lengths[i], RegionInfo.size(fixture.ask(regionInfo(i, 1024))), "region " + i);
    }
    fixture.refused(Errno.EINVAL, regionInfo(9, 1024));
    fixture.refused(Errno.EINVAL, regionInfo(-1, 1024));
    fixture.refused(Errno.EINVAL, regionInfo(0, 31));
  }

  @Test
  void shouldOfferNoDescriptorsInPlaceOfRegions() {
    fixture.negotiate();
    final byte[] message =
        fixture.command(VfioUserCommand.DEVICE_GET_REGION_IO_FDS, RegionIoFds.LENGTH);
    RegionIoFds.put(message, 4096, 0, PciRegion.BAR0, 0);
    final byte[] reply = fixture.ask(message);
    assertEquals(0, RegionIoFds.count(reply));
    RegionIoFds.put(message, 4096, 0, 9, 0);
    fixture.refused(Errno.EINVAL, message);
  }

  private byte[] irqInfo(final int index) {
    final byte[] message = fixture.command(VfioUserCommand.DEVICE_GET_IRQ_INFO, IrqInfo.LENGTH);
    IrqInfo.put(message, IrqInfo.LENGTH, 0, index, 0);
    return message;
  }

  @Test
  void shouldSayHowManyInterruptsThereAre() {
    fixture.negotiate();
    final int[] counts = {0, 0, VfioFixture.VECTOR_COUNT, 1, 1};
    for (int i = 0; i < counts.length; i++) {
      assertEquals(counts[i], IrqInfo.count(fixture.ask(irqInfo(i))), "kind " + i);
    }
    assertEquals(IrqInfo.EVENTFD_FLAG, IrqInfo.flags(fixture.ask(irqInfo(PciIrq.MSIX))));
    fixture.refused(Errno.EINVAL, irqInfo(5));
    fixture.refused(Errno.EINVAL, irqInfo(-1));
  }

  @Test
  void shouldSetReplaceAndTakeBackEventfds() {
    fixture.negotiate();
    final int a = EventFd.create();
    final int b = EventFd.create();
    fixture.ask(fixture.setIrqs(TRIGGER_EVENTS, PciIrq.MSIX, 1, 2), a, b);
    assertEquals(-1, fixture.devices.vectorFds[0]);
    assertTrue(fixture.devices.vectorFds[1] >= 0);
    assertTrue(fixture.devices.vectorFds[2] >= 0);
    final long version = fixture.session.version();
    fixture.ask(fixture.setIrqs(TRIGGER_EVENTS, PciIrq.MSIX, 2, 1), a);
    assertEquals(version + 1, fixture.session.version(), "another descriptor is a change");
    // Without descriptors: those of the range are taken back.
    fixture.ask(fixture.setIrqs(TRIGGER_EVENTS, PciIrq.MSIX, 1, 1));
    assertEquals(-1, fixture.devices.vectorFds[1]);
    assertTrue(fixture.devices.vectorFds[2] >= 0);
    fixture.ask(fixture.setIrqs(TRIGGER_EVENTS, PciIrq.ERR, 0, 1), a);
    fixture.ask(fixture.setIrqs(TRIGGER_EVENTS, PciIrq.REQ, 0, 1), b);
    fixture.ask(
        fixture.setIrqs(IrqSet.DATA_NONE_FLAG | IrqSet.ACTION_TRIGGER_FLAG, PciIrq.MSIX, 0, 0));
    assertEquals(-1, fixture.devices.vectorFds[2]);
    assertEquals(
        List.of(VfioSlots.ERR, VfioSlots.REQ, VfioSlots.DOORBELLS, VfioSlots.AREA),
        List.copyOf(fixture.masterFds.keySet()));
    Fds.close(a);
    Fds.close(b);
  }

  private static long drained(final int fd) {
    final long scratch = Mem.allocate(Long.BYTES);
    final long read = Fds.read(fd, scratch, Long.BYTES);
    final long value = read == Long.BYTES ? Mem.getLong(scratch) : 0;
    Mem.free(scratch);
    return value;
  }

  @Test
  void shouldSignalWhatAFrontEndWantsToSeeOfItsOwnInterrupts() {
    fixture.negotiate();
    final int a = EventFd.create();
    final int b = EventFd.create();
    fixture.ask(fixture.setIrqs(TRIGGER_EVENTS, PciIrq.MSIX, 0, 2), a, b);
    fixture.ask(
        fixture.setIrqs(IrqSet.DATA_NONE_FLAG | IrqSet.ACTION_TRIGGER_FLAG, PciIrq.MSIX, 0, 3));
    assertEquals(1, drained(a));
    assertEquals(1, drained(b));
    final byte[] some =
        fixture.setIrqs(IrqSet.DATA_BOOL_FLAG | IrqSet.ACTION_TRIGGER_FLAG, PciIrq.MSIX, 0, 2);
    some[VfioUserMessage.PAYLOAD_OFFSET + IrqSet.LENGTH + 1] = 1;
    fixture.ask(some);
    assertEquals(0, drained(a));
    assertEquals(1, drained(b));
    Fds.close(a);
    Fds.close(b);
  }

  @Test
  void shouldRefuseInterruptsThatCannotBe() {
    fixture.negotiate();
    final int event = EventFd.create();
    final int none = IrqSet.DATA_NONE_FLAG;
    final int bool = IrqSet.DATA_BOOL_FLAG;
    final int events = IrqSet.DATA_EVENTFD_FLAG;
    final int trigger = IrqSet.ACTION_TRIGGER_FLAG;
    final int mask = IrqSet.ACTION_MASK_FLAG;
    final int unmask = IrqSet.ACTION_UNMASK_FLAG;
    final int last = VfioFixture.VECTOR_COUNT;
    final int[][] bad = {
      {events | trigger, PciIrq.MSIX, last, 1},
      {events | trigger, PciIrq.MSIX, 0, last + 1},
      {events | trigger, PciIrq.MSIX, last - 1, 2},
      {events | trigger, PciIrq.MSIX, -1, 1},
      {events | trigger, PciIrq.MSIX, 0, -1},
      {events | trigger, PciIrq.MSIX, 0x7FFF_FFFF, 0x7FFF_FFFF},
      {events | trigger, PciIrq.MSIX, 0, 0},
      {events | trigger, PciIrq.INTX, 0, 1},
      {events | trigger, PciIrq.MSI, 0, 1},
      {events | trigger, 5, 0, 1},
      {events | trigger, -1, 0, 1},
      {events | trigger, PciIrq.ERR, 0, 2},
      {events | trigger, PciIrq.REQ, 1, 1},
      {none | mask, PciIrq.MSIX, 0, 1},
      {none | unmask, PciIrq.MSIX, 0, 1},
      {bool | mask, PciIrq.MSIX, 0, 1},
      {events | mask, PciIrq.MSIX, 0, 1},
      {none | mask, PciIrq.MSIX, 0, 0},
      {none | trigger, PciIrq.MSIX, 1, 0},
      {bool | trigger, PciIrq.MSIX, 0, 0},
      {none | bool | trigger, PciIrq.MSIX, 0, 1},
      {none | trigger | mask, PciIrq.MSIX, 0, 1},
      {none, PciIrq.MSIX, 0, 1},
      {trigger, PciIrq.MSIX, 0, 1},
      {0, PciIrq.MSIX, 0, 1},
      {none | trigger | 0x40, PciIrq.MSIX, 0, 1},
      {-1, -1, -1, -1},
    };
    for (final int[] b : bad) {
      fixture.refused(Errno.EINVAL, fixture.setIrqs(b[0], b[1], b[2], Math.min(b[3], 64)));
    }
    fixture.refused(Errno.EINVAL, fixture.setIrqs(events | trigger, PciIrq.MSIX, 0, 2), event);
    fixture.refused(Errno.EINVAL, fixture.setIrqs(none | trigger, PciIrq.MSIX, 0, 1), event);
    fixture.refused(Errno.EINVAL, fixture.setIrqs(events | trigger, PciIrq.MSIX, 0, 1), memory);
    final byte[] tooShort = fixture.setIrqs(bool | trigger, PciIrq.MSIX, 0, 1);
    IrqSet.put(tooShort, 64, bool | trigger, PciIrq.MSIX, 0, 4);
    fixture.refused(Errno.EINVAL, tooShort);
    fixture.refused(
        Errno.EINVAL, fixture.command(VfioUserCommand.DEVICE_SET_IRQS, IrqSet.LENGTH - 1));
    // To disable what there is none of is done at once.
    fixture.ask(fixture.setIrqs(none | trigger, PciIrq.INTX, 0, 0));
    Fds.close(event);
  }

  @Test
  void shouldHandRegistersToTheControllerByWidth() {
    fixture.negotiate();
    fixture.devices.calls.clear();
    fixture.ask(fixture.write(PciRegion.BAR0, 0x14, 1, 0, 0x46, 0));
    fixture.ask(fixture.write(PciRegion.BAR0, 0x28, 0, 0x10, 0, 0, 1, 0, 0, 0));
    fixture.ask(fixture.write(PciRegion.BAR0, 0x26, 0xAA, 0xBB, 1, 2, 3, 4));
    assertEquals(
        List.of(
            "write 0x14/4=460001",
            "write 0x28/8=100001000",
            "write 0x26/2=bbaa",
            "write 0x28/4=4030201"),
        fixture.devices.calls);
    assertEquals(0x460001, fixture.readNumber(PciRegion.BAR0, 0x14, 4));
    assertEquals(0x04030201BBAAL, fixture.readNumber(PciRegion.BAR0, 0x26, 6));
  }

  @Test
  void shouldAnswerAWriteOnlyWhenTheControllerHasIt() {
    fixture.negotiate();
    fixture.devices.wait = true;
    final int before = fixture.answers.size();
    fixture.post(fixture.write(PciRegion.BAR0, 0x14, 1, 0, 0, 0));
    assertEquals(before, fixture.answers.size());
    fixture.devices.step();
    assertEquals(before + 1, fixture.answers.size());
    assertNotNull(fixture.answers.get(before).reply());
  }

  @Test
  void shouldRefuseAccessesBeyondRegions() {
    fixture.negotiate();
    for (final int region : new int[] {1, 2, 3, 5, 6, 8, 9, -1, Integer.MIN_VALUE}) {
      fixture.refused(Errno.EINVAL, fixture.read(region, 0, 4));
      fixture.refused(Errno.EINVAL, fixture.write(region, 0, 1, 2, 3, 4));
    }
    fixture.refused(Errno.EINVAL, fixture.read(PciRegion.BAR0, 0x3FFD, 4));
    fixture.refused(Errno.EINVAL, fixture.read(PciRegion.BAR0, -1, 1));
    fixture.refused(Errno.EINVAL, fixture.read(PciRegion.BAR0, Long.MIN_VALUE, 1));
    fixture.refused(Errno.EINVAL, fixture.read(PciRegion.CONFIG, 4095, 2));
    fixture.refused(Errno.EINVAL, fixture.read(PciRegion.CONFIG, 0, -1));
    fixture.refused(Errno.EINVAL, fixture.read(PciRegion.BAR0, 0, 64 * 1024));
    final byte[] lying = fixture.write(PciRegion.BAR0, 0x14, 1, 2, 3, 4);
    RegionAccess.put(lying, 0x14, PciRegion.BAR0, 8);
    fixture.refused(Errno.EINVAL, lying);
    fixture.ask(fixture.read(PciRegion.BAR0, 0x4000, 0));
    assertEquals(4096 + 32, fixture.ask(fixture.read(PciRegion.CONFIG, 0, 4096)).length);
  }

  @Test
  void shouldCarryOutSeveralWritesInOrderOrNone() {
    fixture.negotiate();
    fixture.devices.calls.clear();
    final byte[] message =
        fixture.command(VfioUserCommand.REGION_WRITE_MULTI, RegionWrites.length(3));
    RegionWrites.putWriteCount(message, 3);
    RegionWrites.put(message, 0, 0x1000, PciRegion.BAR0, 4, 5);
    RegionWrites.put(message, 1, 0x04, PciRegion.CONFIG, 2, 0x0406);
    RegionWrites.put(message, 2, 0x1008, PciRegion.BAR0, 4, 6);
    final byte[] reply = fixture.ask(message);
    assertEquals(3, RegionWrites.writeCount(reply));
    assertEquals(List.of("write 0x1000/4=5", "write 0x1008/4=6"), fixture.devices.calls);
    assertEquals(0x0406, fixture.readNumber(PciRegion.CONFIG, 4, 2));

    RegionWrites.put(message, 2, 0x1008, PciRegion.BAR0, 9, 6);
    fixture.refused(Errno.EINVAL, message);
    RegionWrites.put(message, 2, 0x4000, PciRegion.BAR0, 4, 6);
    fixture.refused(Errno.EINVAL, message);
    RegionWrites.putWriteCount(message, 4);
    fixture.refused(Errno.EINVAL, message);
    RegionWrites.putWriteCount(message, -1);
    fixture.refused(Errno.EINVAL, message);
    assertEquals(2, fixture.devices.calls.size(), "nothing was written by halves");
  }

  @Test
  void shouldResetControllerAndConfigurationAndKeepMemoryAndInterrupts() {
    fixture.negotiate();
    final int event = EventFd.create();
    fixture.ask(fixture.map(0, MIB, 0, READ_WRITE), memory);
    fixture.ask(fixture.setIrqs(TRIGGER_EVENTS, PciIrq.MSIX, 0, 1), event);
    fixture.ask(fixture.write(PciRegion.CONFIG, 4, 2, 4));
    fixture.devices.calls.clear();
    fixture.ask(fixture.command(VfioUserCommand.DEVICE_RESET, 0));
    assertEquals(List.of("reset", "update"), fixture.devices.calls);
    assertTrue(fixture.devices.isBusMaster);
    assertEquals(4, fixture.readNumber(PciRegion.CONFIG, 4, 2));
    assertTrue(fixture.devices.vectorFds[0] >= 0);
    assertNotEquals(0, fixture.devices.readable.translate(0, MIB));
    Fds.close(event);
  }

  @Test
  void shouldResetTheFunctionByItsConfigurationSpace() {
    fixture.negotiate();
    fixture.ask(fixture.write(PciRegion.CONFIG, 4, 2, 4));
    final long control = fixture.readNumber(PciRegion.CONFIG, 0x68, 2);
    fixture.devices.calls.clear();
    fixture.ask(fixture.write(PciRegion.CONFIG, 0x68, (int) control & 0xFF, 0x80));
    assertEquals(List.of("reset", "update"), fixture.devices.calls);
    assertTrue(fixture.devices.isBusMaster);
    assertEquals(4, fixture.readNumber(PciRegion.CONFIG, 4, 2));
    assertEquals(0, fixture.readNumber(PciRegion.CONFIG, 0x69, 1) & 0x80);
  }

  @Test
  void shouldLetTheControllerReachMemoryOnlyAsABusMaster() {
    fixture.negotiate();
    fixture.ask(fixture.map(0x10_0000, MIB, 0, READ_WRITE), memory);
    assertTrue(fixture.devices.isBusMaster, "a front-end may know nothing of PCI");
    fixture.ask(fixture.write(PciRegion.CONFIG, 4, 2));
    assertFalse(fixture.devices.isBusMaster);
    fixture.ask(fixture.write(PciRegion.CONFIG, 4, 6, 4));
    assertTrue(fixture.devices.isBusMaster);
    assertNotEquals(0, fixture.devices.readable.translate(0x10_0000, MIB));
    fixture.devices.calls.clear();
    fixture.ask(fixture.write(PciRegion.CONFIG, 4, 6));
    assertTrue(fixture.devices.calls.isEmpty(), "nothing changed");
    try (VfioFixture standby = fixture.successor()) {
      standby.session.startRings();
      assertTrue(standby.devices.isBusMaster);
    }
    fixture.devices.wait = true;
    final int before = fixture.answers.size();
    fixture.post(fixture.write(PciRegion.CONFIG, 4, 2));
    assertFalse(fixture.devices.isBusMaster);
    assertEquals(before, fixture.answers.size(), "not answered while a command uses the memory");
    fixture.devices.step();
    assertEquals(before + 1, fixture.answers.size());
    fixture.devices.wait = false;
    try (VfioFixture standby = fixture.successor()) {
      standby.session.startRings();
      assertFalse(standby.devices.isBusMaster);
    }
  }

  @Test
  void shouldBeTakenOverWhenItsMemoryWasCutShort() {
    fixture.negotiate();
    fixture.ask(fixture.map(0x10_0000, MIB, 0, READ_WRITE), memory);
    Fds.truncate(memory, 0);
    try (VfioFixture successor = fixture.successor()) {
      successor.session.startRings();
      assertTrue(successor.devices.readable.isCutShort(), "whoever touches it meets a fault");
      successor.refused(Errno.EINVAL, successor.map(0x40_0000, MIB, 0, READ_WRITE), memory);
      successor.ask(successor.unmap(0x10_0000, MIB, 0));
      assertEquals(0, successor.devices.readable.translate(0x10_0000, 1));
    }
  }

  @Test
  void shouldGoOnWhenItsQueuesCannotBeTrusted() {
    assertFalse(fixture.session.goesOnWithoutRings("test"), "there is no controller yet");
    fixture.negotiate();
    fixture.devices.calls.clear();
    assertTrue(fixture.session.goesOnWithoutRings("test"));
    assertEquals(List.of("fail test"), fixture.devices.calls);
    assertEquals(4, fixture.readNumber(PciRegion.CONFIG, 4, 2));
  }

  @Test
  void shouldRefuseWhatIsNotOffered() {
    fixture.negotiate();
    fixture.refused(
        Errno.ENOTTY, fixture.command(VfioUserCommand.DEVICE_FEATURE, DeviceFeature.LENGTH));
    fixture.refused(Errno.EOPNOTSUPP, fixture.command(VfioUserCommand.DMA_READ, 16));
    fixture.refused(Errno.EOPNOTSUPP, fixture.command(VfioUserCommand.DMA_WRITE, 16));
    fixture.refused(Errno.EOPNOTSUPP, fixture.command(VfioUserCommand.MIG_DATA_READ, 8));
    fixture.refused(Errno.EOPNOTSUPP, fixture.command(VfioUserCommand.MIG_DATA_WRITE, 8));
    final byte[] unknown = fixture.command(VfioUserCommand.DEVICE_RESET, 0);
    LittleEndian.putShort(unknown, VfioUserMessage.COMMAND_OFFSET, 4711);
    fixture.refused(Errno.EOPNOTSUPP, unknown);
    fixture.refused(Errno.EINVAL, fixture.command(VfioUserCommand.DEVICE_RESET, 0), memory);
  }

  @Test
  void shouldReplyToNothingThatWantsNoReply() {
    fixture.negotiate();
    final byte[] write = fixture.write(PciRegion.BAR0, 0x1000, 1, 0, 0, 0);
    LittleEndian.putInt(write, VfioUserMessage.FLAGS_OFFSET, VfioUserMessage.NO_REPLY_FLAG);
    fixture.devices.calls.clear();
    final Answer answer = fixture.send(write);
    assertNull(answer.reply());
    assertFalse(answer.close());
    assertEquals(List.of("write 0x1000/4=1"), fixture.devices.calls);
    final byte[] bad = fixture.read(PciRegion.BAR0, -1, 1);
    LittleEndian.putInt(bad, VfioUserMessage.FLAGS_OFFSET, VfioUserMessage.NO_REPLY_FLAG);
    assertNull(fixture.send(bad).reply());
  }

  @Test
  void shouldEndAConnectionWhoseMessagesAreNone() {
    fixture.negotiate();
    final byte[] reply = fixture.command(VfioUserCommand.DMA_READ, 0);
    LittleEndian.putInt(reply, VfioUserMessage.FLAGS_OFFSET, VfioUserMessage.TYPE_REPLY);
    assertTrue(fixture.send(reply).close());
    final byte[] lying = fixture.command(VfioUserCommand.DEVICE_RESET, 4);
    LittleEndian.putInt(lying, VfioUserMessage.SIZE_OFFSET, 16);
    assertTrue(fixture.send(lying).close());
    assertTrue(fixture.send(new byte[3]).close());
  }

  @Test
  void shouldGiveTheSameStateWhenASuccessorHandlesAMessageAgain() {
    fixture.negotiate();
    final int event = EventFd.create();
    final byte[] map = fixture.map(0x10_0000, MIB, 0, READ_WRITE);
    try (VfioFixture successor = fixture.successor()) {
      fixture.ask(map, memory);
      successor.ask(map, memory);
      assertArrayEquals(fixture.session.record(), successor.session.record());
      assertEquals(fixture.session.version(), successor.session.version());
    }
    final byte[] irqs = fixture.setIrqs(TRIGGER_EVENTS, PciIrq.MSIX, 3, 1);
    try (VfioFixture successor = fixture.successor()) {
      fixture.ask(irqs, event);
      assertFalse(successor.session.mayStart(), "the dead one went beyond this record");
      successor.ask(irqs, event);
      assertArrayEquals(fixture.session.record(), successor.session.record());
      assertEquals(List.of("make area=7", "resume"), successor.devices.calls.subList(0, 2));
    }
    final byte[] config = fixture.write(PciRegion.CONFIG, 4, 6, 4);
    try (VfioFixture successor = fixture.successor()) {
      fixture.ask(config);
      successor.ask(config);
      assertArrayEquals(fixture.session.record(), successor.session.record());
    }
    Fds.close(event);
  }

  /** A master that died before it sent the reply has the message asked about again. */
  @Test
  void shouldAnswerAMessageThatComesAgainAsBefore() {
    fixture.negotiate();
    final int event = EventFd.create();
    final byte[] read = fixture.read(PciRegion.CONFIG, 0, 4);
    for (final byte[] message :
        List.of(
            fixture.map(0x10_0000, MIB, 0, READ_WRITE),
            fixture.setIrqs(TRIGGER_EVENTS, PciIrq.MSIX, 3, 1),
            fixture.write(PciRegion.CONFIG, 4, 6, 4),
            fixture.unmap(0x10_0000, MIB, 0),
            read)) {
      final int command = VfioUserMessage.commandCode(message);
      final int[] fds =
          command == VfioUserCommand.DMA_MAP.code()
              ? new int[] {memory}
              : command == VfioUserCommand.DEVICE_SET_IRQS.code() ? new int[] {event} : new int[0];
      final byte[] first = fixture.ask(message, fds);
      final byte[] record = fixture.session.record();
      fixture.sequence--;
      assertArrayEquals(first, fixture.ask(message, fds));
      assertArrayEquals(record, fixture.session.record());
      try (VfioFixture successor = fixture.successor()) {
        successor.sequence--;
        assertArrayEquals(first, successor.ask(message, fds));
        assertArrayEquals(record, successor.session.record());
      }
    }
    Fds.close(event);
  }

  /**
   * A message was in the middle of being applied when the master died, and its successor was given
   * the record from before it: the answer to the same message must bring what that one lacks.
   */
  @Test
  void shouldSayAgainWhatBecameOfTheDescriptorsOfAMessage() {
    final byte[] version = fixture.version("{\"capabilities\":{}}");
    for (final byte[] message :
        List.of(
            version,
            fixture.map(0x10_0000, MIB, 0, READ_WRITE),
            fixture.unmap(0x10_0000, MIB, 0))) {
      final int[] fds =
          VfioUserMessage.commandCode(message) == VfioUserCommand.DMA_MAP.code()
              ? new int[] {memory}
              : new int[0];
      final Answer first = fixture.send(message, fds);
      assertTrue(first.slots().length > 0);
      fixture.sequence--;
      final Answer again = fixture.send(message, fds);
      assertEquals(first.version(), again.version());
      assertArrayEquals(first.slots(), again.slots());
      assertArrayEquals(first.sources(), again.sources());
      assertArrayEquals(first.newFds(), again.newFds());
    }
  }

  @Test
  void shouldPrepareWhatASuccessorNeedsWithoutStartingIt() {
    fixture.negotiate();
    fixture.ask(fixture.map(0x10_0000, MIB, 0, READ_WRITE), memory);
    try (VfioFixture standby = fixture.successor()) {
      assertTrue(standby.session.runnableQueues().isEmpty());
      assertEquals(List.of("make area=7", "prepare"), standby.devices.calls);
      standby.session.startRings();
      assertEquals(List.of("make area=7", "prepare", "resume"), standby.devices.calls);
      assertNotEquals(0, standby.devices.writable.translate(0x10_0000, MIB));
    }
  }

  @Test
  void shouldStopTheControllerBeforeItsMemoryGoes() throws IOException {
    final Path second = Files.createDirectory(folder.resolve("second"));
    final long before = VfioFixture.openDescriptors();
    final VfioFixture other = new VfioFixture(second);
    other.negotiate();
    other.ask(other.map(0, MIB, 0, READ_WRITE), memory);
    final long host = other.devices.writable.translate(0, MIB);
    other.devices.wait = true;
    final boolean[] closed = new boolean[1];
    other.session.close(() -> closed[0] = true);
    assertFalse(closed[0]);
    Mem.putInt(host, 1);
    other.devices.step();
    assertTrue(closed[0]);
    other.masterFds.values().forEach(Fds::close);
    other.segment.close();
    assertEquals(before, VfioFixture.openDescriptors(), "descriptors");
  }

  @Test
  void shouldTellTheControllerOfNamespacesAndLengths() {
    fixture.negotiate();
    final boolean[] done = new boolean[1];
    fixture.session.onNamespaces(VfioFixture.description(true), () -> done[0] = true);
    assertTrue(done[0]);
    fixture.session.onResize(1, 100);
    assertEquals(List.of("namespaces 0", "namespaces 0"), fixture.devices.calls.subList(3, 5));
  }
}
