package io.virtnvme.slave.vfio;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.LittleEndian;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Memfd;
import io.virtnvme.ipc.vfiouser.DeviceFeature;
import io.virtnvme.ipc.vfiouser.PciRegion;
import io.virtnvme.ipc.vfiouser.VersionCapabilities;
import io.virtnvme.ipc.vfiouser.VersionPayload;
import io.virtnvme.ipc.vfiouser.VfioUserCommand;
import io.virtnvme.ipc.vfiouser.VfioUserMessage;
import io.virtnvme.slave.session.Answer;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The version, messages that are none, and those that are not offered. */
class VfioUserSessionTest extends VfioSessionCase {
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
}
