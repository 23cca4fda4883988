package io.virtnvme.slave.vfio;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.relay.SessionDescription;
import io.virtnvme.slave.ring.RingSetup;
import io.virtnvme.slave.virtqueue.GuestMemory;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Controllers that remember what was asked of them; what takes time waits for {@link #step}. */
final class FakeNvmeDevices implements NvmeDevices {
  static final long AREA_LENGTH = 8192;

  final List<String> calls = new ArrayList<>();
  final ArrayDeque<Runnable> pending = new ArrayDeque<>();
  final Map<Integer, Integer> registers = new HashMap<>();
  NvmeMachine made;
  GuestMemory readable;
  GuestMemory writable;
  boolean isBusMaster;
  int[] vectorFds;
  boolean wait;

  /** Lets everything happen that was asked for. */
  void step() {
    while (!pending.isEmpty()) {
      pending.remove().run();
    }
  }

  private void done(final Runnable whenDone) {
    if (wait) {
      pending.add(whenDone);
    } else {
      whenDone.run();
    }
  }

  @Override
  public long areaLength() {
    return AREA_LENGTH;
  }

  @Override
  public void format(final long areaAddress, final long sessionId) {
    calls.add("format " + sessionId);
    Mem.putLong(areaAddress, sessionId);
  }

  @Override
  public NvmeDevice make(final NvmeMachine machine) {
    calls.add("make area=" + Mem.getLong(machine.areaAddress()));
    made = machine;
    readable = machine.readable();
    writable = machine.writable();
    isBusMaster = machine.isBusMaster();
    vectorFds = machine.vectorFds();
    return new FakeDevice();
  }

  @Override
  public boolean isUsable(final NvmeDevice device) {
    return true;
  }

  private final class FakeDevice implements NvmeDevice {
    @Override
    public List<? extends RingSetup> prepared() {
      calls.add("prepare");
      return List.of();
    }

    @Override
    public boolean isPreparationCurrent() {
      return true;
    }

    @Override
    public void resume() {
      calls.add("resume");
    }

    @Override
    public long readRegister(final int offset, final int width) {
      long value = 0;
      for (int i = 0; i < width; i++) {
        value |= (long) registers.getOrDefault(offset + i, 0) << (8 * i);
      }
      return value;
    }

    @Override
    public void writeRegister(
        final int offset, final int width, final long value, final Runnable whenDone) {
      calls.add(
          "write 0x" + Integer.toHexString(offset) + "/" + width + "=" + Long.toHexString(value));
      for (int i = 0; i < width; i++) {
        registers.put(offset + i, (int) (value >>> (8 * i)) & 0xFF);
      }
      done(whenDone);
    }

    @Override
    public void reset(final Runnable whenDone) {
      calls.add("reset");
      registers.clear();
      done(whenDone);
    }

    @Override
    public void update(
        final GuestMemory newReadable,
        final GuestMemory newWritable,
        final boolean newIsBusMaster,
        final int[] newVectorFds,
        final Runnable whenDone) {
      calls.add("update");
      readable = newReadable;
      writable = newWritable;
      isBusMaster = newIsBusMaster;
      vectorFds = newVectorFds;
      done(whenDone);
    }

    @Override
    public void namespaces(final SessionDescription now, final Runnable whenDone) {
      calls.add("namespaces " + now.nvme().namespaces().size());
      done(whenDone);
    }

    @Override
    public void fail(final String reason) {
      calls.add("fail " + reason);
    }

    @Override
    public void stop(final Runnable whenStopped) {
      calls.add("stop");
      done(whenStopped);
    }
  }
}
