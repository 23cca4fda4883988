package io.virtnvme.slave.vfio;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.relay.NvmeDescription;
import io.virtnvme.ipc.relay.SessionDescription;
import io.virtnvme.ipc.segment.BootId;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.ipc.segment.SessionSegment;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.vfiouser.DmaMap;
import io.virtnvme.ipc.vfiouser.DmaUnmap;
import io.virtnvme.ipc.vfiouser.IrqSet;
import io.virtnvme.ipc.vfiouser.RegionAccess;
import io.virtnvme.ipc.vfiouser.VersionPayload;
import io.virtnvme.ipc.vfiouser.VfioUserCommand;
import io.virtnvme.ipc.vfiouser.VfioUserMessage;
import io.virtnvme.slave.JvmDescriptors;
import io.virtnvme.slave.session.Answer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * A session with a fake controller, and the master's part: it keeps copies of the descriptors by
 * slot, as answers tell it, and can hand them to a successor.
 */
final class VfioFixture implements AutoCloseable {
  static final int IO_QUEUE_COUNT = 8;
  static final int VECTOR_COUNT = IO_QUEUE_COUNT + 1;

  final FakeNvmeDevices devices = new FakeNvmeDevices();
  final List<Answer> answers = new ArrayList<>();
  final SessionSegment segment;
  final VfioUserSession session;
  final Map<Integer, Integer> masterFds = new TreeMap<>();
  private final Path folder;
  private final SessionDescription description;
  private boolean ended;
  private int lastId = 0x100;

  /** Number of the last message. */
  long sequence;

  VfioFixture(final Path folder) {
    this(folder, description(true), true);
  }

  VfioFixture(final Path folder, final SessionDescription description) {
    this(folder, description, true);
  }

  private VfioFixture(
      final Path folder, final SessionDescription description, final boolean create) {
    final SegmentDirectory directory = new SegmentDirectory(folder, 1, BootId.current());
    this.folder = folder;
    this.description = description;
    this.segment = create ? SessionSegment.create(directory, 7) : SessionSegment.open(directory, 7);
    this.session = new VfioUserSession(7, description, segment, devices);
  }

  static SessionDescription description(final boolean mappable) {
    return SessionDescription.ofNvme(
        "/run/disk",
        0,
        new NvmeDescription(
            "nqn.2024-01.org.virtnvme:d",
            "S1",
            "virtnvme",
            1,
            32,
            mappable,
            !mappable,
            IO_QUEUE_COUNT,
            1024,
            List.of()));
  }

  /** A session of another slave with this one's record and descriptors, as the master has them. */
  VfioFixture successor() {
    final VfioFixture next = new VfioFixture(folder, description, false);
    next.session.load(
        session.version(),
        session.record(),
        masterFds.keySet().stream().mapToInt(slot -> slot).toArray(),
        masterFds.values().stream().mapToInt(Fds::duplicate).toArray());
    next.sequence = sequence;
    masterFds.forEach((slot, fd) -> next.masterFds.put(slot, Fds.duplicate(fd)));
    return next;
  }

  /** Sends a message with copies of {@code fds}; the originals stay the caller's. */
  void post(final byte[] message, final int... fds) {
    final int[] copies = Arrays.stream(fds).map(Fds::duplicate).toArray();
    session.onMessage(
        ++sequence,
        message,
        copies,
        answer -> {
          for (int i = 0; i < answer.slots().length; i++) {
            final int source = answer.sources()[i];
            final Integer before =
                source == Answer.EMPTY
                    ? masterFds.remove(answer.slots()[i])
                    : masterFds.put(
                        answer.slots()[i],
                        Fds.duplicate(
                            source >= Answer.NEW_FD
                                ? answer.newFds()[source - Answer.NEW_FD]
                                : fds[source]));
            if (before != null) {
              Fds.close(before);
            }
          }
          answers.add(answer);
        });
  }

  /** Sends a message and returns its answer, which must come at once. */
  Answer send(final byte[] message, final int... fds) {
    final int before = answers.size();
    post(message, fds);
    assertEquals(before + 1, answers.size(), "answers");
    return answers.get(before);
  }

  /** The reply to a message that must be carried out. */
  byte[] ask(final byte[] message, final int... fds) {
    final Answer answer = send(message, fds);
    assertFalse(answer.close(), answer::reason);
    assertNotNull(answer.reply(), "reply");
    assertTrue(VfioUserMessage.isReply(answer.reply()));
    assertEquals(VfioUserMessage.id(message), VfioUserMessage.id(answer.reply()));
    assertEquals(VfioUserMessage.commandCode(message), VfioUserMessage.commandCode(answer.reply()));
    assertEquals(answer.reply().length, VfioUserMessage.size(answer.reply()));
    assertFalse(VfioUserMessage.isRefusal(answer.reply()), answer::reason);
    return answer.reply();
  }

  /** Sends a message that must be refused with an errno, without any effect. */
  void refused(final int errno, final byte[] message, final int... fds) {
    final byte[] before = session.record();
    final long version = session.version();
    final Answer answer = send(message, fds);
    assertFalse(answer.close(), answer::reason);
    assertTrue(answer.reason().length() > 10, answer::reason);
    assertEquals(VfioUserMessage.HEADER_LENGTH, answer.reply().length, "a header alone");
    assertTrue(VfioUserMessage.isRefusal(answer.reply()));
    assertEquals(errno, VfioUserMessage.error(answer.reply()), answer::reason);
    assertEquals(VfioUserMessage.id(message), VfioUserMessage.id(answer.reply()));
    assertTrue(Arrays.equals(before, session.record()), "the record is the same");
    assertEquals(version, session.version());
  }

  byte[] command(final VfioUserCommand command, final int payloadLength) {
    return VfioUserMessage.command(command, ++lastId & 0xFFFF, 0, payloadLength);
  }

  byte[] version(final String json) {
    final byte[] message = VersionPayload.withText(command(VfioUserCommand.VERSION, 0), json);
    VersionPayload.put(message, 0, 0);
    return message;
  }

  /** Says VERSION as QEMU does. */
  void negotiate() {
    ask(
        version(
            "{\"capabilities\":{\"max_msg_fds\":16,\"max_data_xfer_size\":1048576,"
                + "\"write_multiple\":true}}"));
  }

  byte[] map(final long address, final long size, final long offset, final int flags) {
    final byte[] message = command(VfioUserCommand.DMA_MAP, DmaMap.LENGTH);
    DmaMap.put(message, DmaMap.LENGTH, flags, offset, address, size);
    return message;
  }

  byte[] unmap(final long address, final long size, final int flags) {
    final byte[] message = command(VfioUserCommand.DMA_UNMAP, DmaUnmap.LENGTH);
    DmaUnmap.put(message, DmaUnmap.LENGTH, flags, address, size);
    return message;
  }

  byte[] setIrqs(final int flags, final int index, final int start, final int count) {
    final boolean isBool = (flags & IrqSet.DATA_BOOL_FLAG) != 0;
    final byte[] message =
        command(VfioUserCommand.DEVICE_SET_IRQS, IrqSet.LENGTH + (isBool ? Math.max(0, count) : 0));
    IrqSet.put(message, VfioUserMessage.payloadLength(message), flags, index, start, count);
    return message;
  }

  byte[] read(final int region, final long offset, final int count) {
    final byte[] message = command(VfioUserCommand.REGION_READ, RegionAccess.LENGTH);
    RegionAccess.put(message, offset, region, count);
    return message;
  }

  byte[] write(final int region, final long offset, final int... data) {
    final byte[] message = command(VfioUserCommand.REGION_WRITE, RegionAccess.LENGTH + data.length);
    RegionAccess.put(message, offset, region, data.length);
    for (int i = 0; i < data.length; i++) {
      message[RegionAccess.DATA_OFFSET + i] = (byte) data[i];
    }
    return message;
  }

  /** What a read of a region answers, little endian. */
  long readNumber(final int region, final long offset, final int width) {
    final byte[] reply = ask(read(region, offset, width));
    assertEquals(RegionAccess.DATA_OFFSET + width, reply.length);
    long value = 0;
    for (int i = 0; i < width; i++) {
      value |= (reply[RegionAccess.DATA_OFFSET + i] & 0xFFL) << (8 * i);
    }
    return value;
  }

  void end() {
    if (!ended) {
      ended = true;
      final boolean[] heard = new boolean[1];
      session.close(() -> heard[0] = true);
      devices.step();
      assertTrue(heard[0], "closed");
    }
  }

  static long openDescriptors() {
    JvmDescriptors.settle();
    try (Stream<Path> open = Files.list(Path.of("/proc/self/fd"))) {
      return open.count();
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() {
    end();
    masterFds.values().forEach(Fds::close);
    segment.close();
  }
}
