package io.virtnvme.slave.nvme;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;

/**
 * A driver that sets a controller up, works with it, and takes it down, by the letter of the
 * specifications; and judges: every command is completed once and with the status that it deserves,
 * so none was executed twice where that shows; what was acknowledged stays on the disk.
 */
final class WholeDriver {
  static final int ANY_STATUS = -1;

  private static final int PAGE = WholeRig.PAGE;
  private static final int BLOCK = WholeRig.BLOCK;
  private static final long ADMIN_DATA = WholeRig.GUEST + 40L * PAGE;
  private static final long SHADOW = WholeRig.GUEST + 50L * PAGE;
  private static final long EVENT_INDEX = WholeRig.GUEST + 51L * PAGE;
  private static final long IO_DATA = WholeRig.GUEST + 64L * PAGE;

  /** A command without its completion; {@code block} is -1 where no data is moved. */
  @SuppressWarnings("ArrayRecordComponent") // never changed
  private record Outstanding(int status, int block, byte[] written, Consumer<Integer> whenDone) {}

  /** One submission queue. */
  private final class Sq {
    final int id;
    final int size;
    final long entries;
    final Map<Integer, Outstanding> outstanding = new HashMap<>();
    int tail;
    int head;

    Sq(final int id, final int size) {
      this.id = id;
      this.size = size;
      this.entries = rig.host(sqAddress(id));
    }

    boolean hasRoom() {
      return (tail + 1) % size != head;
    }

    void submit(final int[] dwords, final Outstanding command) {
      final int commandId = dwords[0] >>> 16;
      assertNull(outstanding.put(commandId, command));
      for (int i = 0; i < dwords.length; i++) {
        Mem.putInt(entries + tail * 64L + 4L * i, dwords[i]);
      }
      tail = (tail + 1) % size;
      Mem.putIntRelease(doorbell(id, 0), tail);
    }

    /** Entries up to the reported head are the driver's again, and it writes rubbish there. */
    void moveHead(final int newHead) {
      assertTrue(
          newHead < size && Math.floorMod(newHead - head, size) <= Math.floorMod(tail - head, size),
          () -> "SQ head of queue " + id + " from " + head + " to " + newHead + " tail " + tail);
      while (head != newHead) {
        Mem.fill(entries + head * 64L, 64, (byte) 0xEE);
        head = (head + 1) % size;
      }
    }
  }

  /** One completion queue. */
  private static final class Cq {
    final int id;
    final int size;
    int head;
    int phase = 1;

    Cq(final int id, final int size) {
      this.id = id;
      this.size = size;
    }
  }

  private final WholeRig rig;
  private final Random random;
  private final Map<Integer, Sq> sqs = new HashMap<>();
  private final Map<Integer, Cq> cqs = new HashMap<>();
  private final Deque<BooleanSupplier> script = new ArrayDeque<>();
  private final byte[][] acknowledged = new byte[WholeRig.BLOCK_COUNT][];
  private final boolean[] isBusy = new boolean[WholeRig.BLOCK_COUNT];
  private boolean isShadowed;
  private int nextCommandId;
  private int completedIo;
  private int eventsExpected;
  private int eventsTold;
  private int refusedCount;

  WholeDriver(final WholeRig rig, final Random random) {
    this.rig = rig;
    this.random = random;
    for (int block = 0; block < acknowledged.length; block++) {
      acknowledged[block] = new byte[BLOCK];
    }
  }

  private static long sqAddress(final int id) {
    return WholeRig.GUEST + 2L * id * PAGE;
  }

  private static long cqAddress(final int id) {
    return WholeRig.GUEST + (2L * id + 1) * PAGE;
  }

  private long doorbell(final int queueId, final int which) {
    final long page = isShadowed && queueId != 0 ? rig.host(SHADOW) : rig.doorbells;
    return page + 8L * queueId + 4L * which;
  }

  /** Goes on as far as it can: takes completions, and then the next step of the script. */
  void step() {
    for (final Cq cq : List.copyOf(cqs.values())) {
      poll(cq, 1 + random.nextInt(3));
    }
    if (!script.isEmpty() && script.peek().getAsBoolean()) {
      script.remove();
    }
  }

  boolean isDone() {
    return script.isEmpty();
  }

  private void poll(final Cq cq, final int limit) {
    for (int i = 0; i < limit; i++) {
      final long entry = rig.host(cqAddress(cq.id)) + 16L * cq.head;
      final int last = Mem.getIntAcquire(entry + 12);
      if ((last >>> 16 & 1) != cq.phase) {
        break;
      }
      final int third = Mem.getInt(entry + 8);
      final Sq sq = sqs.get(third >>> 16);
      assertNotNull(sq, () -> "completion for a queue that is not there: " + (third >>> 16));
      final Outstanding command = sq.outstanding.remove(last & 0xFFFF);
      assertNotNull(command, () -> "completed twice, or never submitted: cid=" + (last & 0xFFFF));
      if (command.status != ANY_STATUS) {
        assertEquals(
            Integer.toHexString(command.status), Integer.toHexString(last >>> 17), "status");
      }
      sq.moveHead(third & 0xFFFF);
      onIoEnd(sq, command);
      command.whenDone.accept(Mem.getInt(entry));
      cq.head = (cq.head + 1) % cq.size;
      cq.phase ^= cq.head == 0 ? 1 : 0;
      Mem.putIntRelease(doorbell(cq.id, 1), cq.head);
    }
  }

  private void onIoEnd(final Sq sq, final Outstanding command) {
    if (command.block < 0) {
      return;
    }
    completedIo++;
    isBusy[command.block] = false;
    if (command.written != null) {
      acknowledged[command.block] = command.written;
    } else if (acknowledged[command.block] != null) {
      final byte[] read = new byte[BLOCK];
      Mem.copyOut(rig.host(IO_DATA + (long) command.block * PAGE / 2), read, 0, BLOCK);
      assertArrayEquals(
          acknowledged[command.block], read, () -> "block " + command.block + " sq " + sq.id);
    }
  }

  // Steps of the script.

  void writes(final int offset, final int width, final long value) {
    final boolean[] state = new boolean[2];
    script.add(
        () -> {
          if (!state[0]) {
            state[0] = true;
            rig.write(offset, width, value, () -> state[1] = true);
          }
          return state[1];
        });
  }

  void awaits(final int offset, final int mask, final int value) {
    script.add(() -> (rig.readRegister(offset) & mask) == value);
  }

  private void runs(final Runnable action) {
    script.add(
        () -> {
          action.run();
          return true;
        });
  }

  /** Submits an admin command; goes on when it is completed, or at once. */
  private void submits(
      final int[] dwords,
      final int status,
      final boolean isAwaited,
      final Consumer<Integer> whenDone) {
    final boolean[] state = new boolean[2];
    script.add(
        () -> {
          if (!state[0] && sqs.get(0).hasRoom()) {
            state[0] = true;
            dwords[0] |= nextId() << 16;
            sqs.get(0)
                .submit(
                    dwords,
                    new Outstanding(
                        status,
                        -1,
                        null,
                        result -> {
                          state[1] = true;
                          whenDone.accept(result);
                        }));
          }
          return state[0] && (state[1] || !isAwaited);
        });
  }

  private int nextId() {
    nextCommandId = (nextCommandId + 1) & 0xFFFF;
    return nextCommandId;
  }

  private static int[] command(
      final int opcode, final int namespaceId, final int dword10, final int dword11) {
    final int[] dwords = new int[16];
    dwords[0] = opcode;
    dwords[1] = namespaceId;
    dwords[10] = dword10;
    dwords[11] = dword11;
    return dwords;
  }

  private static int[] prp(final int[] dwords, final long first, final long second) {
    dwords[6] = (int) first;
    dwords[7] = (int) (first >>> 32);
    dwords[8] = (int) second;
    dwords[9] = (int) (second >>> 32);
    return dwords;
  }

  /** Sets the registers up and waits until the controller is ready. */
  void enables(final int adminEntries) {
    writes(0x24, 4, (adminEntries - 1) << 16 | (adminEntries - 1));
    writes(0x28, 8, sqAddress(0));
    writes(0x30, 8, cqAddress(0));
    runs(
        () -> {
          Mem.fill(rig.host(cqAddress(0)), PAGE, (byte) 0);
          sqs.put(0, new Sq(0, adminEntries));
          cqs.put(0, new Cq(0, adminEntries));
        });
    writes(0x14, 4, 0x0046_0001);
    awaits(0x1C, 1, 1);
  }

  void identifies() {
    submits(
        prp(command(6, 0, 1, 0), ADMIN_DATA, 0),
        0,
        true,
        result -> {
          assertEquals(0x1B36, Mem.getShort(rig.host(ADMIN_DATA)));
          Mem.fill(rig.host(ADMIN_DATA), PAGE, (byte) 0);
        });
  }

  void setsFeature(final int feature, final int value, final int result) {
    submits(command(9, 0, feature, value), 0, true, actual -> assertEquals(result, actual));
  }

  void configuresShadowDoorbells() {
    runs(
        () -> {
          Mem.fill(rig.host(SHADOW), PAGE, (byte) 0);
          Mem.fill(rig.host(EVENT_INDEX), PAGE, (byte) 0);
        });
    submits(prp(command(0x7C, 0, 0, 0), SHADOW, EVENT_INDEX), 0, true, result -> isShadowed = true);
  }

  void createsCompletionQueue(final int id, final int size) {
    runs(() -> Mem.fill(rig.host(cqAddress(id)), PAGE, (byte) 0));
    submits(
        prp(command(5, 0, (size - 1) << 16 | id, 1 << 16 | 3), cqAddress(id), 0),
        0,
        true,
        result -> {
          clearShadow(id, 1);
          cqs.put(id, new Cq(id, size));
        });
  }

  void createsSubmissionQueue(final int id, final int size, final int completionQueueId) {
    submits(
        prp(command(1, 0, (size - 1) << 16 | id, completionQueueId << 16 | 1), sqAddress(id), 0),
        0,
        true,
        result -> {
          clearShadow(id, 0);
          sqs.put(id, new Sq(id, size));
        });
  }

  private void clearShadow(final int id, final int which) {
    if (isShadowed) {
      Mem.putIntRelease(doorbell(id, which), 0);
    }
  }

  /** A command that the controller must refuse, and that must be in its error log once. */
  void isRefused(final int opcode, final int dword10, final int dword11, final int typeAndCode) {
    submits(
        prp(command(opcode, 0, dword10, dword11), ADMIN_DATA, 0),
        0x6000 | typeAndCode,
        true,
        result -> refusedCount++);
  }

  /** What is in flight may end before, or be dropped; after it there is nothing of the queue. */
  void deletesSubmissionQueue(final int id) {
    submits(
        command(0, 0, id, 0),
        0,
        true,
        result -> {
          drop(sqs.remove(id));
        });
  }

  /** Commands without a completion: what was to be written is there or not. */
  private void drop(final Sq sq) {
    for (final Outstanding command : sq.outstanding.values()) {
      if (command.block >= 0) {
        isBusy[command.block] = false;
        acknowledged[command.block] = command.written == null ? acknowledged[command.block] : null;
      }
    }
  }

  void deletesCompletionQueue(final int id) {
    submits(command(4, 0, id, 0), 0, true, result -> cqs.remove(id));
  }

  void requestsEvent() {
    submits(
        command(0xC, 0, 0, 0),
        0,
        false,
        result -> {
          assertEquals("40002", Integer.toHexString(result));
          eventsTold++;
          assertTrue(eventsTold <= eventsExpected, "an event was told twice");
        });
  }

  /** The operator changes the namespace; the driver is told once, and reads the log page. */
  void isToldOfResize(final long blockCount) {
    runs(
        () -> {
          eventsExpected++;
          rig.resize(blockCount);
        });
    script.add(() -> eventsTold == eventsExpected && rig.isBlockCountTold());
    submits(
        prp(command(2, -1, 1023 << 16 | 4, 0), ADMIN_DATA, 0),
        0,
        true,
        result -> {
          assertEquals(1, Mem.getInt(rig.host(ADMIN_DATA)));
          assertEquals(0, Mem.getInt(rig.host(ADMIN_DATA) + 4));
          Mem.fill(rig.host(ADMIN_DATA), PAGE, (byte) 0);
        });
  }

  /** Every command that was refused is in the error log once, so none was executed twice. */
  void readsErrorLog() {
    submits(
        prp(command(2, -1, 1023 << 16 | 1, 0), ADMIN_DATA, 0),
        0,
        true,
        result -> {
          assertEquals(refusedCount, Mem.getLong(rig.host(ADMIN_DATA)), "errors in the log");
          Mem.fill(rig.host(ADMIN_DATA), PAGE, (byte) 0);
        });
  }

  /** Works on every I/O queue until so many more commands have ended. */
  void works(final int commandCount) {
    final int[] until = {-1};
    script.add(
        () -> {
          until[0] = until[0] < 0 ? completedIo + commandCount : until[0];
          submitIo();
          return completedIo >= until[0];
        });
  }

  /** Leaves commands in flight. */
  void leavesInFlight(final int rounds) {
    for (int i = 0; i < rounds; i++) {
      runs(this::submitIo);
    }
  }

  private void submitIo() {
    for (final Sq sq : List.copyOf(sqs.values())) {
      final int block = random.nextInt(WholeRig.BLOCK_COUNT);
      if (sq.id != 0 && sq.hasRoom() && !isBusy[block]) {
        isBusy[block] = true;
        final boolean isWrite = random.nextBoolean();
        final byte[] bytes = new byte[BLOCK];
        random.nextBytes(bytes);
        final long data = IO_DATA + (long) block * PAGE / 2;
        Mem.copyIn(bytes, 0, rig.host(data), BLOCK);
        final int[] dwords = prp(command(isWrite ? 1 : 2, 1, block, 0), data, 0);
        dwords[0] |= nextId() << 16;
        sq.submit(dwords, new Outstanding(0, block, isWrite ? bytes : null, result -> {}));
      }
    }
  }

  void awaitsIo() {
    script.add(
        () -> {
          for (final Sq sq : sqs.values()) {
            if (sq.id != 0 && !sq.outstanding.isEmpty()) {
              return false;
            }
          }
          return true;
        });
  }

  /** A controller reset, with whatever is in flight. */
  void disables() {
    writes(0x14, 4, 0x0046_0000);
    awaits(0x1C, 1, 0);
    runs(
        () -> {
          for (final Sq sq : sqs.values()) {
            drop(sq);
          }
          sqs.clear();
          cqs.clear();
          isShadowed = false;
        });
  }

  void shutsDown() {
    writes(0x14, 4, 0x0046_4001);
    awaits(0x1C, 0xC, 0x8);
  }

  /** The disk has what was acknowledged, and nothing else where that is known. */
  void checkDisk() {
    for (int block = 0; block < acknowledged.length; block++) {
      if (acknowledged[block] != null && !isBusy[block]) {
        final byte[] actual = Arrays.copyOfRange(rig.disk(), block * BLOCK, (block + 1) * BLOCK);
        assertArrayEquals(acknowledged[block], actual, "block " + block);
      }
    }
    assertEquals(eventsExpected, eventsTold);
  }

  /** What is left of the script, for a failure's text. */
  int stepsLeft() {
    return script.size();
  }

  List<String> outstanding() {
    final List<String> all = new ArrayList<>();
    sqs.values().forEach(sq -> all.add("sq " + sq.id + ": " + sq.outstanding.keySet()));
    return all;
  }
}
