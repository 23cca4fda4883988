package io.virtnvme.master.supervisor;

import io.virtnvme.master.nvme.NvmeDevice;
import io.virtnvme.master.relay.EventLoop;
import io.virtnvme.master.rpc.NvmeControllerInfo;
import io.virtnvme.master.rpc.NvmeControllerInfo.State;
import io.virtnvme.master.rpc.NvmeControllerSpec;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.Supplier;

/** An NVMe controller that is attached, or on its way there or away. Conductor thread. */
final class DeviceEntry {
  static final long NO_WINDOW = -1;

  private final DeviceDriver driver;
  private final EventLoop loop;
  private NvmeControllerSpec spec;
  private State state = State.DISABLED;
  private String problem = "";

  /** Null while the device is not attached, or is given back. */
  private DeviceCare care;

  /** I/O addresses by the slave that has them. */
  private final Map<Slave, Long> windows = new HashMap<>();

  private final Deque<Long> freeWindows = new ArrayDeque<>();

  DeviceEntry(final NvmeControllerSpec spec, final DeviceDriver driver, final EventLoop loop) {
    this.spec = spec;
    this.driver = driver;
    this.loop = loop;
  }

  /** Does something in the device's thread; completes on the conductor. */
  <T> CompletableFuture<T> ask(final Supplier<T> work) {
    return Elsewhere.run(driver.thread(), loop, work);
  }

  /** The same for what has no result. */
  CompletableFuture<Void> run(final Runnable work) {
    return ask(
        () -> {
          work.run();
          return null;
        });
  }

  /** The same when nobody waits for the end. */
  void begin(final Runnable work) {
    final CompletionStage<Void> stage = run(work);
    stage.whenComplete((done, failure) -> {});
  }

  String name() {
    return spec.name();
  }

  NvmeControllerSpec spec() {
    return spec;
  }

  void spec(final NvmeControllerSpec newSpec) {
    spec = newSpec;
  }

  DeviceDriver driver() {
    return driver;
  }

  DeviceCare care() {
    return care;
  }

  /** Watches the device from now on. */
  void care(final DeviceCare newCare) {
    care = newCare;
  }

  /** Nobody looks at the device any more. */
  void endCare() {
    final DeviceCare ended = care;
    care = null;
    if (ended != null) {
      ended.stop();
    }
  }

  State state() {
    return state;
  }

  /**
   * Where it is from now on.
   *
   * @param why empty when there is nothing to say
   */
  void state(final State newState, final String why) {
    state = newState;
    problem = why;
  }

  /** The device is there, with these ranges of I/O addresses for slaves. */
  void freeWindows(final List<Long> all) {
    windows.clear();
    freeWindows.clear();
    freeWindows.addAll(all);
  }

  /** The range of a slave, from now on until {@link #takeWindow}; -1 when there is none. */
  long windowOf(final Slave slave) {
    Long window = windows.get(slave);
    if (window == null) {
      window = freeWindows.poll();
      if (window == null) {
        return NO_WINDOW;
      }
      windows.put(slave, window);
    }
    return window;
  }

  /** Takes the range of a dead slave away; -1 when it had none. */
  long takeWindow(final Slave slave) {
    final Long window = windows.remove(slave);
    return window == null ? NO_WINDOW : window;
  }

  /** Nothing is mapped there any more. */
  void freeWindow(final long window) {
    freeWindows.add(window);
  }

  /** Whether slaves can be given the device. */
  boolean isReachable() {
    return driver.device() != null && state != State.DISABLED && state != State.DELETING;
  }

  NvmeControllerInfo info() {
    final NvmeDevice device = driver.device();
    return new NvmeControllerInfo(
        spec,
        state,
        device == null ? "" : device.state().label(),
        problem.isEmpty() && device != null ? device.reason() : problem,
        device == null ? null : device.identity(),
        driver.problems(),
        care == null ? null : care.info());
  }
}
