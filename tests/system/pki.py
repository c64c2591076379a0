"""Certificates for the system tests, made by openssl."""
import os
import subprocess
import time


class Pki:
    """Two CAs and what they signed, made by openssl."""

    def __init__(self, directory):
        self.dir = directory
        directory.mkdir(exist_ok=True)

    def openssl(self, *args):
        subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True, cwd=self.dir)

    def ca(self, name):
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                     "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")
        return self

    def issue(self, name, ca="ca", names=("localhost", "127.0.0.1"), begin=-1, end=10, uris=(), usage="serverAuth,clientAuth"):
        """A certificate for these names, valid from `begin` to `end` days from now."""
        names = [f"DNS:{n}" for n in names] + [f"URI:{u}" for u in uris]
        config = "\n".join(["[ca]", "default_ca=it", "[it]", "database=index.txt", "new_certs_dir=.", "rand_serial=yes", "default_md=sha256",
                            "policy=any", "unique_subject=no", "[any]", "commonName=supplied", "[ext]",
                            "subjectAltName=" + ",".join(names), f"extendedKeyUsage={usage}"])
        (self.dir / "ca.cnf").write_text(config)
        (self.dir / "index.txt").write_text("")
        stamp = lambda days: time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + days * 86400))
        self.openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
                     "-keyout", f"{name}.new", "-out", f"{name}.csr")
        self.openssl("ca", "-batch", "-notext", "-config", "ca.cnf", "-extensions", "ext", "-cert", f"{ca}.pem", "-keyfile", f"{ca}.key",
                     "-startdate", stamp(begin), "-enddate", stamp(end), "-in", f"{name}.csr", "-out", f"{name}.pem")
        os.replace(self.dir / f"{name}.new", self.dir / f"{name}.key")
        os.chmod(self.dir / f"{name}.key", 0o600)
        return self

    def options(self, name, ca="ca"):
        return ["--tls-cert", self.dir / f"{name}.pem", "--tls-key", self.dir / f"{name}.key", "--tls-ca", self.dir / f"{ca}.pem"]
