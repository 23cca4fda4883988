package io.virtnvme.slave.vfio;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Mapping;
import io.virtnvme.ipc.vfiouser.DeviceInfo;
import io.virtnvme.ipc.vfiouser.PciRegion;
import io.virtnvme.ipc.vfiouser.RegionAccess;
import io.virtnvme.ipc.vfiouser.RegionInfo;
import io.virtnvme.ipc.vfiouser.RegionIoFds;
import io.virtnvme.ipc.vfiouser.RegionWrites;
import io.virtnvme.ipc.vfiouser.SparseMmap;
import io.virtnvme.ipc.vfiouser.VfioUserCommand;
import io.virtnvme.ipc.vfiouser.VfioUserMessage;
import io.virtnvme.slave.session.Answer;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The device and its regions: what they are, and accesses to them. */
class VfioRegionTest extends VfioSessionCase {
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
}
