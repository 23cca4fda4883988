package io.virtnvme.master.nvme;

/**
 * Steps that wait for a device, in the device's thread, and what follows from them, in the thread
 * that started them. What went wrong with the device is the controller's state, not the job's.
 */
final class DeviceJob implements Runnable {
  private final Runnable steps;
  private final Runnable whenEnded;
  private Throwable failure;
  private volatile boolean isEnded;

  DeviceJob(final Runnable steps, final Runnable whenEnded) {
    this.steps = steps;
    this.whenEnded = whenEnded;
  }

  @Override
  public void run() {
    try {
      steps.run();
    } catch (final NvmeDeviceException e) {
      // Refused, or failed; the controller's state says which.
    } catch (final RuntimeException | Error e) {
      failure = e;
    } finally {
      isEnded = true;
    }
  }

  boolean isEnded() {
    return isEnded;
  }

  /**
   * Takes the outcome, once.
   *
   * @throws IllegalStateException for what is no fault of a device
   */
  void settle() {
    if (failure != null) {
      throw new IllegalStateException("a job of a device failed", failure);
    }
    whenEnded.run();
  }
}
