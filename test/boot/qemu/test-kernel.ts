export const locateTestKernel = async () => "/tmp/harness-try/root/boot/vmlinuz-6.12.107+deb13-cloud-amd64";
